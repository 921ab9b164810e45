"""The command `undoor-bench texts`: models of texts, from training to the record."""

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
    zoo: Zoo,
    out: RecordFolder = None,
    learn: NullsFile = None,
    only: Only = None,
    per_class: Annotated[int, typer.Option(help="Clean texts per class.", min=1)] = 100,
    rivals: Rivals = False,
    seed: Annotated[int, typer.Option(help="Of the texts drawn and of the scan.")] = 0,
) -> CommandResult:
    """Train models of texts that are not there yet; learn nulls from one half, measure the other.

    The record, text.md and text.csv, holds detection, repair and guard, beside fine-tuning.
    With --rivals it is rivals.md and rivals.csv, of all methods on all held-out models.
    """
    from undoor_bench.detect.row_models import result_of
    from undoor_bench.detect.space_rivals import beside_rivals, compared
    from undoor_bench.detect.text_models import inserted_alone, record_of, text_case
    from undoor_bench.zoo.text_data import read_texts
    from undoor_bench.zoo.text_models import TextModel, train_text_model

    work = Work(
        name=RIVALS if rivals else "text",
        entries=entries_of(table, TextModel, only),
        train=lambda entry: train_text_model(entry, data, zoo),
        case=opener(
            zoo,
            lambda name: read_texts(name, data, zoo),
            lambda subject, read: text_case(subject, read, data, per_class=per_class, seed=seed),
        ),
        line=lambda case: compared(case, seed) if rivals else result_of(case, seed),
        record=lambda lines, date: (
            beside_rivals(inserted_alone(lines), date, "texts")
            if rivals
            else record_of(lines, date)
        ),
        out=out,
        learn=learn,
        seed=seed,
    )
    return carried_out(work, SCHEMA)
