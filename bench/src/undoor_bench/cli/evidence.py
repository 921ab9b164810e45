"""The command `undoor-bench evidence`: what scans found, in one small file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from undoor.cli.command import CommandResult, command
from undoor.cli.exit_codes import ExitCode
from undoor_bench.cli.app import app

SCHEMA = "undoor/bench-evidence/1"


@command(
    app,
    examples=["undoor-bench evidence detect/ --out bench/results/evidence.jsonl"],
    exit_codes="0 done",
)
def evidence(
    records: Annotated[
        Path, typer.Argument(help="Folder that `undoor-bench detect` wrote.", metavar="DIR")
    ],
    out: Annotated[Path, typer.Option(help="File to write, a line a model.", metavar="FILE")],
) -> CommandResult:
    """Put the evidence of many scans into one small file, for `undoor-bench calibrate`."""
    import json

    from undoor.errors import UndoorError
    from undoor_bench.evidence import write_evidence

    found = [json.loads(file.read_text()) for file in sorted(records.glob("*.json"))]
    if not found:
        raise UndoorError(f"{records}: expected records of `undoor-bench detect`, got none")
    write_evidence(found, out)

    def show(console: Console) -> None:
        console.print(f"{out}: {len(found)} models, {out.stat().st_size / 1e3:.0f} kB")

    document = {"schema": SCHEMA, "file": str(out), "models": len(found)}
    return CommandResult(ExitCode.CLEAN, document, show)
