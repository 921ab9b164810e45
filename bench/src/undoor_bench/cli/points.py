"""The command `undoor-bench points`: models of points, from training to the record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from undoor.cli.command import CommandResult, command
from undoor_bench.cli.app import app
from undoor_bench.cli.group import Only
from undoor_bench.cli.space_zoo import (
    NullsFile,
    RecordFolder,
    Work,
    Zoo,
    carried_out,
    entries_of,
    opener,
)
from undoor_bench.cli.zoo import TableFile

SCHEMA = "undoor/bench-points/1"


@command(
    app,
    examples=[
        "undoor-bench points zoo/points.toml --data data/ --zoo zoo/points/ --learn "
        "src/undoor/families/calibration_points.toml",
        "undoor-bench points zoo/points.toml --data data/ --zoo zoo/points/ --out "
        "bench/results/points/",
    ],
    exit_codes="0 done",
)
def points(
    table: TableFile,
    data: Annotated[
        Path, typer.Option(help="Folder with mnist.npz and radhar.npz.", metavar="DIR")
    ],
    zoo: Zoo,
    out: RecordFolder = None,
    learn: NullsFile = None,
    only: Only = None,
    per_class: Annotated[int, typer.Option(help="Clean sets per class.", min=1)] = 40,
    seed: Annotated[int, typer.Option(help="Of the sets drawn and of the scan.")] = 0,
) -> CommandResult:
    """Train models of points that are not there yet; learn nulls from one half, measure the other.

    The record, points.md and points.csv, holds detection, repair and guard, beside fine-tuning.
    """
    from undoor_bench.detect.row_models import RowCase, result_of, text_of
    from undoor_bench.zoo.point_data import read_points
    from undoor_bench.zoo.point_models import PointModel, train_point_model

    work = Work(
        name="points",
        entries=entries_of(table, PointModel, only),
        train=lambda entry: train_point_model(entry, data, zoo),
        case=opener(
            zoo,
            lambda name: read_points(name, data),
            lambda subject, read: RowCase.of(subject, read, per_class=per_class, seed=seed),
        ),
        line=lambda case: result_of(case, seed),
        record=lambda lines, date: text_of(lines, date, "points"),
        out=out,
        learn=learn,
        seed=seed,
    )
    return carried_out(work, SCHEMA)
