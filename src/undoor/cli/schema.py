"""The command `undoor schema`: print the JSON Schema of a document."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.app import app
from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor.errors import UndoorError, UsageError

Document = Annotated[
    str,
    typer.Argument(
        help="scan, repair, check, evaluation, demo, report, inspection, estimate, calibration, "
        "fleet or error.",
        metavar="DOCUMENT",
    ),
]


@command(
    app,
    examples=["undoor schema scan > scan.schema.json", "undoor schema report"],
    exit_codes="0 printed",
)
def schema(document: Document) -> CommandResult:
    """Print the JSON Schema (draft 2020-12) of a command's JSON."""
    from undoor.files import as_json
    from undoor.render.documents import json_schema

    try:
        made = json_schema(document)
    except UndoorError as error:
        raise UsageError(f"DOCUMENT: {error}; give one of them") from None

    def show(console: Console) -> None:
        # Not through the console, which would break long lines.
        console.file.write(as_json(made))

    return CommandResult(ExitCode.CLEAN, made, show)
