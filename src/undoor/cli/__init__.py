"""The `undoor` command. Torch and all that needs it are imported inside the commands."""

from __future__ import annotations

import sys

import typer

from undoor.cli import (
    adapt,
    calibrate,
    check,
    demo,
    evaluate,
    export,
    fleet,
    inspect,
    repair,
    repairs,
    scan,
    schema,
    serve,
)
from undoor.cli.ahead import ahead_app
from undoor.cli.app import app
from undoor.cli.memory import keep_buffers
from undoor.cli.streams import descriptors_apart

__all__ = [
    "adapt",
    "app",
    "calibrate",
    "check",
    "demo",
    "evaluate",
    "export",
    "fleet",
    "helper_main",
    "inspect",
    "main",
    "repair",
    "repairs",
    "scan",
    "schema",
    "serve",
]


def main() -> None:
    """Run the `undoor` script."""
    _run(app)


def helper_main() -> None:
    """Search ahead of a scan, as the processes of a fleet do."""
    _run(ahead_app)


def _run(program: typer.Typer) -> None:
    # Started by `python -c` or `-m`, Python would import from the working directory first of all.
    sys.path[:] = [place for place in sys.path if place != ""]
    keep_buffers()
    with descriptors_apart():
        program(prog_name="undoor")
