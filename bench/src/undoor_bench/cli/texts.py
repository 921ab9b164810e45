"""The command `undoor-bench texts`: models of texts, from training to the record."""

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

SCHEMA = "undoor/bench-texts/1"


@command(
    app,
    examples=[
        "undoor-bench texts zoo/text.toml --data data/ --zoo zoo/text/ --learn "
        "src/undoor/families/calibration_text.toml",
        "undoor-bench texts zoo/text.toml --data data/ --zoo zoo/text/ --out bench/results/text/",
    ],
    exit_codes="0 done",
)
def texts(
    table: TableFile,
    data: Annotated[
        Path,
        typer.Option(help="Folder with sst2, agnews and text_triggers.parquet.", metavar="DIR"),
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
    per_class: Annotated[int, typer.Option(help="Clean texts per class.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Of the texts drawn and of the scan.")] = 0,
) -> CommandResult:
    """Train models of texts that are not there yet; learn nulls from one half, measure the other.

    The record, text.md and text.csv, holds detection, repair and guard, beside fine-tuning.
    """
    from datetime import UTC, datetime

    from undoor.calibrate import fitted
    from undoor.errors import UndoorError
    from undoor.families.calibration import calibration_for
    from undoor.vocabulary import MANY_CLASSES
    from undoor_bench import tables
    from undoor_bench.detect.row_models import flat, result_of
    from undoor_bench.detect.text_models import record_of, text_case
    from undoor_bench.zoo.model_table import read_models
    from undoor_bench.zoo.subjects import subjects
    from undoor_bench.zoo.text_data import read_texts
    from undoor_bench.zoo.text_models import TextModel, train_text_model

    entries = [entry for entry in read_models(table, TextModel) if wanted(entry.name, only)]
    if not entries:
        raise UndoorError(f"{table}: {none_of(only)}")
    with bars() as progress:
        for done, entry in enumerate(entries):
            progress("models", done, len(entries))
            train_text_model(entry, data, zoo)
        by_name = {subject.name: subject for subject in subjects(zoo)}
        read = {name: read_texts(name, data, zoo) for name in {entry.data for entry in entries}}
        seen, lines = [], []
        for done, entry in enumerate(entries):
            if (learn if entry.learn else out) is None:
                continue
            progress("scans", done, len(entries))
            subject = by_name[entry.name]
            case = text_case(subject, read[entry.data], data, per_class=per_class, seed=seed)
            if entry.learn:
                # What is found does not depend on what natural triggers look like.
                seen.append(case.observed(case.scan(seed, calibration_for(MANY_CLASSES))))
            else:
                lines.append(result_of(case, seed))
        if learn is not None:
            fitted(seen, progress=progress)[0].save(learn)
    if out is not None:
        date = datetime.now(UTC).date().isoformat()
        tables.save(out / "text", record_of(lines, date), flat(lines))

    def show(console: Console) -> None:
        if learn is not None:
            console.print(f"{learn}: learned from {len(seen)} models")
        for line in lines:
            console.print(f"{line['name']}: {line['verdict']}, named {line['named'] or 'none'}")

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "models": lines}, show)
