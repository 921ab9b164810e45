"""The command `undoor-bench rows`: models of tables, from training to the record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars
from undoor_bench.cli.app import app
from undoor_bench.cli.group import Only, none_of, wanted
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
    zoo: Annotated[Path, typer.Option(help="Folder that gets a folder a model.", metavar="DIR")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the record of the held-out half.", metavar="DIR"),
    ] = None,
    learn: Annotated[
        Path | None,
        typer.Option(help="File for nulls, learned from the other half.", metavar="FILE"),
    ] = None,
    only: Only = None,
    per_class: Annotated[int, typer.Option(help="Clean rows per class.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Of the rows drawn and of the scan.")] = 0,
) -> CommandResult:
    """Train models of tables that are not there yet; learn nulls from one half, measure the other.

    The record, rows.md and rows.csv, holds detection, repair and guard, beside fine-tuning.
    """
    from datetime import UTC, datetime

    from undoor.calibrate import fitted
    from undoor.errors import UndoorError
    from undoor.families.calibration import calibration_for
    from undoor.vocabulary import MANY_CLASSES
    from undoor_bench import tables
    from undoor_bench.detect.row_models import RowCase, flat, result_of, text_of
    from undoor_bench.zoo.row_data import read_rows
    from undoor_bench.zoo.row_models import read_row_table, train_row_model
    from undoor_bench.zoo.subjects import subjects

    entries = [entry for entry in read_row_table(table) if wanted(entry.name, only)]
    if not entries:
        raise UndoorError(f"{table}: {none_of(only)}")
    with bars() as progress:
        for done, entry in enumerate(entries):
            progress("models", done, len(entries))
            train_row_model(entry, data, zoo)
        by_name = {subject.name: subject for subject in subjects(zoo)}
        read = {name: read_rows(name, data) for name in {entry.data for entry in entries}}
        seen, lines = [], []
        for done, entry in enumerate(entries):
            if (learn if entry.learn else out) is None:
                continue
            progress("scans", done, len(entries))
            subject = by_name[entry.name]
            case = RowCase.of(subject, read[entry.data], per_class=per_class, seed=seed)
            if entry.learn:
                # What is found does not depend on what natural triggers look like.
                seen.append(case.observed(case.scan(seed, calibration_for(MANY_CLASSES))))
            else:
                lines.append(result_of(case, seed))
        if learn is not None:
            fitted(seen, progress=progress)[0].save(learn)
    if out is not None:
        date = datetime.now(UTC).date().isoformat()
        tables.save(out / "rows", text_of(lines, date), flat(lines))

    def show(console: Console) -> None:
        if learn is not None:
            console.print(f"{learn}: learned from {len(seen)} models")
        for line in lines:
            console.print(f"{line['name']}: {line['verdict']}, named {line['named'] or 'none'}")

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "models": lines}, show)
