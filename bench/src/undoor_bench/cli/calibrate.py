"""The command `undoor-bench calibrate`: fit the nulls of trigger families on clean models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor_bench.cli.app import app

SCHEMA = "undoor/bench-calibrate/1"


@command(
    app,
    examples=["undoor-bench calibrate detect/ --table zoo/table.toml --out calibration.toml"],
    exit_codes="0 done",
)
def calibrate(
    records: Annotated[
        Path, typer.Argument(help="Folder that `undoor-bench detect` wrote.", metavar="DIR")
    ],
    table: Annotated[
        Path, typer.Option(help="Table of the zoo, which says which half to learn from.")
    ],
    out: Annotated[Path, typer.Option(help="TOML file to write.", metavar="FILE")],
) -> CommandResult:
    """Learn from one half of a zoo how small natural triggers are."""
    import json

    from undoor.errors import UndoorError
    from undoor.files import write_atomically
    from undoor_bench.null_fitting import as_toml, fit_agreement, fit_nulls
    from undoor_bench.zoo.entries import read_table

    half = [entry.name for entry in read_table(table) if entry.calibrate]
    files = [records / f"{name}.json" for name in half]
    found = [json.loads(file.read_text()) for file in files if file.is_file()]
    if not found:
        raise UndoorError(f"{records}: expected records of {', '.join(half[:3])}, ...; got none")
    nulls = fit_nulls(found)
    agreed = fit_agreement(found, nulls)
    text = as_toml(nulls, agreed, [record["model"] for record in found])
    write_atomically(out, lambda path: path.write_text(text))

    def show(console: Console) -> None:
        rows = Table("family", "natural", "location", "scale", "weight")
        for family, null in nulls.items():
            fitted = (f"{v:.2f}" for v in (null.location, null.scale, null.weight))
            rows.add_row(family, f"{null.natural:.3g}", *fitted)
        rows.add_row("all together", "", f"{agreed.location:.2f}", f"{agreed.scale:.2f}", "")
        console.print(rows)

    values = {family: vars(null) for family, null in nulls.items()}
    document = {"schema": SCHEMA, "nulls": values, "agreement": vars(agreed)}
    return CommandResult(ExitCode.CLEAN, document, show)
