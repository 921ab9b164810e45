"""The command `undoor-bench answers`: models of numbers and of sets of labels, to the record."""

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
)
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
    zoo: Zoo,
    out: RecordFolder = None,
    learn: NullsFile = None,
    only: Only = None,
    give: Annotated[
        bool, typer.Option(help="Repair for the true target where the scan does not find it.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the inputs drawn and of the scan.")] = 0,
) -> CommandResult:
    """Train models that are not there yet; learn nulls from one half, measure the other.

    The record, answers.md and answers.csv, holds detection, repair and guard.
    """
    from functools import cache

    from undoor_bench.detect.answer_models import AnswerCase, result_of, text_of
    from undoor_bench.zoo.answer_data import AnswerData, read_answers
    from undoor_bench.zoo.answer_models import AnswerModel, train_answer_model

    @cache
    def read(name: str) -> AnswerData:
        return read_answers(name, data)

    work = Work(
        name="answers",
        entries=entries_of(table, AnswerModel, only),
        train=lambda entry: train_answer_model(entry, data, zoo),
        case=lambda entry: AnswerCase.of(zoo / entry.name, read(entry.data), seed=seed),
        line=lambda case: result_of(case, seed, give=give),
        record=lambda lines, date: text_of(lines, read(work.entries[0].data).task, date),
        out=out,
        learn=learn,
        seed=seed,
    )
    return carried_out(work, SCHEMA)
