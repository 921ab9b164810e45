"""The command `undoor-bench answers`: models of numbers and of sets of labels, to the record."""

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

SCHEMA = "undoor/bench-answers/1"


@command(
    app,
    examples=[
        "undoor-bench answers zoo/regression.toml --data data/ --zoo zoo/regression/ --learn "
        "src/undoor/families/calibration_regression.toml",
        "undoor-bench answers zoo/regression.toml --data data/ --zoo zoo/regression/ --out "
        "bench/results/regression/",
    ],
    exit_codes="0 done",
)
def answers(
    table: TableFile,
    data: Annotated[
        Path,
        typer.Option(help="Folder with housing.parquet, mnist.npz and gtsrb.npz.", metavar="DIR"),
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
    give: Annotated[
        bool, typer.Option(help="Repair for the true target where the scan does not find it.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the inputs drawn and of the scan.")] = 0,
) -> CommandResult:
    """Train models that are not there yet; learn nulls from one half, measure the other.

    The record, answers.md and answers.csv, holds detection, repair and guard.
    """
    from datetime import UTC, datetime

    from undoor.calibrate import fitted
    from undoor.errors import UndoorError
    from undoor.families.calibration import calibration_for
    from undoor.vocabulary import MANY_CLASSES
    from undoor_bench import tables
    from undoor_bench.detect.answer_models import AnswerCase, result_of, text_of
    from undoor_bench.detect.row_models import flat
    from undoor_bench.zoo.answer_data import read_answers
    from undoor_bench.zoo.answer_models import AnswerModel, train_answer_model
    from undoor_bench.zoo.model_table import read_models

    entries = [entry for entry in read_models(table, AnswerModel) if wanted(entry.name, only)]
    if not entries:
        raise UndoorError(f"{table}: {none_of(only)}")
    read = {name: read_answers(name, data) for name in {entry.data for entry in entries}}
    seen, lines = [], []
    with bars() as progress:
        for done, entry in enumerate(entries):
            progress("models", done, len(entries))
            folder = train_answer_model(entry, data, zoo)
            if (learn if entry.learn else out) is None:
                continue
            case = AnswerCase.of(folder, read[entry.data], seed=seed)
            if entry.learn:
                # What is found does not depend on what natural triggers look like.
                seen.append(case.observed(case.scan(seed, calibration_for(MANY_CLASSES))))
            else:
                lines.append(result_of(case, seed, give=give))
        if learn is not None:
            fitted(seen, progress=progress)[0].save(learn)
    if out is not None:
        date = datetime.now(UTC).date().isoformat()
        task = read[entries[0].data].task
        tables.save(out / "answers", text_of(lines, task, date), flat(lines))

    def show(console: Console) -> None:
        if learn is not None:
            console.print(f"{learn}: learned from {len(seen)} models")
        for line in lines:
            console.print(f"{line['name']}: {line['verdict']}, named {line['named'] or 'none'}")

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "models": lines}, show)
