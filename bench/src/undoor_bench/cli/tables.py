"""The command `undoor-bench tables`: the pages and tables of the committed records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor_bench.cli.app import app

SCHEMA = "undoor/bench-tables/1"
PAGE = "README.md"


@command(
    app,
    examples=["undoor-bench tables bench/results"],
    exit_codes="0 the page was written, 2 error",
)
def tables(
    results: Annotated[
        Path, typer.Argument(help="The folder with the committed records.", metavar="RESULTS")
    ],
) -> CommandResult:
    """Make the page of all tables from the committed records; nothing is measured.

    Writes README.md into the folder.
    """
    from undoor.files import write_text
    from undoor_bench.summary.page import SECTIONS, page

    file = results / PAGE
    write_text(file, page(results))

    def show(console: Console) -> None:
        console.print(f"{file}: {len(SECTIONS)} tables", markup=False)

    document = {"schema": SCHEMA, "file": str(file), "tables": [each.title for each in SECTIONS]}
    return CommandResult(ExitCode.CLEAN, document, show)
