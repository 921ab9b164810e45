"""The command `undoor-bench zoo`: train the models of the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.cli.progress import bars
from undoor_bench.cli.app import app
from undoor_bench.cli.group import Data, Only, none_of, wanted

SCHEMA = "undoor/bench-zoo/1"
TableFile = Annotated[
    Path, typer.Argument(help="TOML file that lists the models.", metavar="TABLE")
]
Out = Annotated[Path, typer.Option(help="Folder that gets a folder a model.", metavar="DIR")]


@command(
    app,
    examples=[
        "undoor-bench zoo zoo/table.toml --data data/ --out zoo/",
        "undoor-bench zoo zoo/table.toml --data data/ --out zoo/ --only mnist_VGG",
    ],
    exit_codes="0 all models are there",
)
def zoo(table: TableFile, data: Data, out: Out, only: Only = None) -> CommandResult:
    """Train every model of a table (attack x data set x network x seed) that is not there yet."""
    import json

    from undoor.errors import UndoorError
    from undoor_bench.zoo.entries import read_table, train_entry

    entries = [entry for entry in read_table(table) if wanted(entry.name, only)]
    if not entries:
        raise UndoorError(f"{table}: {none_of(only)}")
    truths = {}
    with bars() as progress:
        for done, entry in enumerate(entries):
            progress("models", done, len(entries))
            folder = train_entry(entry, data, out, progress=progress)
            truths[entry.name] = json.loads((folder / "truth.json").read_text())
        progress("models", len(entries), len(entries))

    def show(console: Console) -> None:
        rows = Table("model", "ACC", "ASR", "SIA", "took")
        for name, truth in truths.items():
            found = truth["backdoors"]
            rates = (", ".join(f"{100 * b[key]:.1f} %" for b in found) for key in ("asr", "sia"))
            took = ", ".join("yes" if b["took"] else "no" for b in found)
            rows.add_row(name, f"{100 * truth['acc']:.1f} %", *rates, took)
        console.print(rows)

    return CommandResult(ExitCode.CLEAN, {"schema": SCHEMA, "models": truths}, show)
