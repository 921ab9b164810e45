"""The command `undoor-bench rows`: models of tables, from training to the record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from undoor.cli.command import CommandResult, command
from undoor_bench.cli.app import app
from undoor_bench.cli.group import Only
from undoor_bench.cli.space_zoo import (
    RIVALS,
    NullsFile,
    RecordFolder,
    Rivals,
    Work,
    Zoo,
    carried_out,
    entries_of,
    opener,
)
from undoor_bench.cli.zoo import TableFile

SCHEMA = "undoor/bench-rows/1"


@command(
    app,
    examples=[
        "undoor-bench rows zoo/rows.toml --data data/ --zoo zoo/rows/ --learn "
        "src/undoor/families/calibration_rows.toml",
        "undoor-bench rows zoo/rows.toml --data data/ --zoo zoo/rows/ --out bench/results/rows/",
    ],
    exit_codes="0 done",
)
def rows(
    table: TableFile,
    data: Annotated[
        Path, typer.Option(help="Folder with adult.npz and housing.parquet.", metavar="DIR")
    ],
    zoo: Zoo,
    out: RecordFolder = None,
    learn: NullsFile = None,
    only: Only = None,
    per_class: Annotated[int, typer.Option(help="Clean rows per class.", min=1)] = 100,
    rivals: Rivals = False,
    seed: Annotated[int, typer.Option(help="Of the rows drawn and of the scan.")] = 0,
) -> CommandResult:
    """Train models of tables that are not there yet; learn nulls from one half, measure the other.

    The record, rows.md and rows.csv, holds detection, repair and guard, beside fine-tuning.
    With --rivals it is rivals.md and rivals.csv, of all methods on all held-out models.
    """
    from undoor_bench.detect.row_models import RowCase, result_of, text_of
    from undoor_bench.detect.space_rivals import beside_rivals, compared
    from undoor_bench.zoo.row_data import read_rows
    from undoor_bench.zoo.row_models import RowModel, train_row_model

    work = Work(
        name=RIVALS if rivals else "rows",
        entries=entries_of(table, RowModel, only),
        train=lambda entry: train_row_model(entry, data, zoo),
        case=opener(
            zoo,
            lambda name: read_rows(name, data),
            lambda subject, read: RowCase.of(subject, read, per_class=per_class, seed=seed),
        ),
        line=lambda case: compared(case, seed) if rivals else result_of(case, seed),
        record=lambda lines, date: (beside_rivals if rivals else text_of)(lines, date, "tables"),
        out=out,
        learn=learn,
        seed=seed,
    )
    return carried_out(work, SCHEMA)
