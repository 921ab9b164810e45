"""The `undoor` command. Torch and all that needs it are imported inside the commands."""

from __future__ import annotations

from undoor.cli import (
    adapt,
    bench,
    check,
    demo,
    evaluate,
    export,
    inspect,
    repair,
    repairs,
    scan,
    schema,
)
from undoor.cli.app import app
from undoor.cli.memory import keep_buffers

__all__ = [
    "adapt",
    "app",
    "bench",
    "check",
    "demo",
    "evaluate",
    "export",
    "inspect",
    "main",
    "repair",
    "repairs",
    "scan",
    "schema",
]


def main() -> None:
    """The entry point of the `undoor` script."""
    keep_buffers()
    app(prog_name="undoor")
