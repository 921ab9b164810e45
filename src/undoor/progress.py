"""Progress callback for long-running operations."""

from __future__ import annotations

from typing import Final, Protocol

# Stages that cover the whole operation, as far as its length is known in advance.
FAMILIES: Final = "trigger families"
PASSES: Final = "sample passes"
SECONDS: Final = "seconds"


class Progress(Protocol):
    """Called as ``progress(stage, done, total)``; raising from it ends the work."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Report that `done` of `total` units of a stage are done."""


def silent(stage: str, done: int, total: int, /) -> None:
    """Ignore the report."""
