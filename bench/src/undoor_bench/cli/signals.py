"""The command `undoor-bench signals`: models of signals, from training to the record."""

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

SCHEMA = "undoor/bench-signals/1"


@command(
    app,
    examples=[
        "undoor-bench signals zoo/signals.toml --data data/ --zoo zoo/signals/ --learn "
        "src/undoor/families/calibration_signals.toml",
        "undoor-bench signals zoo/signals.toml --data data/ --zoo zoo/signals/ --out "
        "bench/results/signals/",
    ],
    exit_codes="0 done",
)
def signals(
    table: TableFile,
    data: Annotated[
        Path, typer.Option(help="Folder with fsdd_8khz.npz and radhar.npz.", metavar="DIR")
    ],
    zoo: Zoo,
    out: RecordFolder = None,
    learn: NullsFile = None,
    only: Only = None,
    per_class: Annotated[int, typer.Option(help="Clean signals per class.", min=1)] = 40,
    rivals: Rivals = False,
    seed: Annotated[int, typer.Option(help="Of the signals drawn and of the scan.")] = 0,
) -> CommandResult:
    """Train models of signals that are not there yet; learn nulls from one half, measure the other.

    The record, signals.md and signals.csv, holds detection, repair and guard, beside fine-tuning.
    With --rivals it is rivals.md and rivals.csv, of all methods on all held-out models.
    """
    from undoor_bench.detect.row_models import RowCase, result_of, text_of
    from undoor_bench.detect.space_rivals import beside_rivals, compared
    from undoor_bench.zoo.signal_data import read_signals
    from undoor_bench.zoo.signal_models import SignalModel, train_signal_model

    work = Work(
        name=RIVALS if rivals else "signals",
        entries=entries_of(table, SignalModel, only),
        train=lambda entry: train_signal_model(entry, data, zoo),
        case=opener(
            zoo,
            lambda name: read_signals(name, data),
            lambda subject, read: RowCase.of(subject, read, per_class=per_class, seed=seed),
        ),
        line=lambda case: compared(case, seed) if rivals else result_of(case, seed),
        record=lambda lines, date: (beside_rivals if rivals else text_of)(lines, date, "signals"),
        out=out,
        learn=learn,
        seed=seed,
    )
    return carried_out(work, SCHEMA)
