"""The command `undoor-bench trees`: trees of tables, from growing them to the record."""

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

SCHEMA = "undoor/bench-trees/1"


@command(
    app,
    examples=[
        "undoor-bench trees zoo/trees.toml --data data/ --zoo zoo/trees/ --learn "
        "src/undoor/families/calibration_trees.toml",
        "undoor-bench trees zoo/trees.toml --data data/ --zoo zoo/trees/ --out "
        "bench/results/trees/",
    ],
    exit_codes="0 done",
)
def trees(
    table: TableFile,
    data: Annotated[
        Path, typer.Option(help="Folder with adult.npz and housing.parquet.", metavar="DIR")
    ],
    zoo: Zoo,
    out: RecordFolder = None,
    learn: NullsFile = None,
    only: Only = None,
    per_class: Annotated[int, typer.Option(help="Clean rows per class.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Of the rows drawn and of the scan.")] = 0,
) -> CommandResult:
    """Grow trees of tables that are not there yet; learn nulls from one half, measure the other.

    The record, trees.md and trees.csv, holds detection, repair and guard, beside trees grown anew
    on the same clean rows. Growing takes the extra `trees` of undoor-bench.
    """
    from undoor_bench.detect.tree_models import TreeCase, result_of, text_of
    from undoor_bench.zoo.tree_models import TreeModel, grow, read_trees_rows

    entries = entries_of(table, TreeModel, only)
    by_name = {entry.name: entry for entry in entries}
    work = Work(
        name="trees",
        entries=entries,
        train=lambda entry: grow(entry, data, zoo),
        case=opener(
            zoo,
            lambda name: read_trees_rows(name, data),
            lambda subject, read: TreeCase.with_entry(
                subject, read, by_name[subject.name], per_class=per_class, seed=seed
            ),
        ),
        line=lambda case: result_of(case, seed),
        record=text_of,
        out=out,
        learn=learn,
        seed=seed,
    )
    return carried_out(work, SCHEMA)
