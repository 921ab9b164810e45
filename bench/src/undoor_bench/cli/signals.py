"""The command `undoor-bench signals`: models of signals, from training to the record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from undoor.cli.command import CommandResult, command
from undoor_bench.cli.app import app
from undoor_bench.cli.group import Only, none_of, wanted
from undoor_bench.cli.space_zoo import Work, carried_out
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
    per_class: Annotated[int, typer.Option(help="Clean signals per class.", min=1)] = 40,
    seed: Annotated[int, typer.Option(help="Of the signals drawn and of the scan.")] = 0,
) -> CommandResult:
    """Train models of signals that are not there yet; learn nulls from one half, measure the other.

    The record, signals.md and signals.csv, holds detection, repair and guard, beside fine-tuning.
    """
    from undoor.errors import UndoorError
    from undoor_bench.zoo.model_table import read_models
    from undoor_bench.zoo.signal_data import read_signals
    from undoor_bench.zoo.signal_models import SignalModel, train_signal_model

    entries = [entry for entry in read_models(table, SignalModel) if wanted(entry.name, only)]
    if not entries:
        raise UndoorError(f"{table}: {none_of(only)}")
    work = Work(
        called=("signals", "signals"),
        entries=entries,
        train=lambda entry: train_signal_model(entry, data, zoo),
        data=lambda name: read_signals(name, data),
        zoo=zoo,
        out=out,
        learn=learn,
        per_class=per_class,
        seed=seed,
    )
    return carried_out(work, SCHEMA)
