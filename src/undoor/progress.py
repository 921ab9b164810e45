"""Progress callback for long-running operations."""

from __future__ import annotations

from typing import Final, Protocol

# Stages beside those of the work itself: the whole of it, as far as it can be foreseen.
FAMILIES: Final = "trigger families"
PASSES: Final = "sample passes"
SECONDS: Final = "seconds"


class Progress(Protocol):
    """Called as ``progress(stage, done, total)``; raising from it ends the work."""

    def __call__(self, stage: str, done: int, total: int, /) -> None: ...


def silent(stage: str, done: int, total: int, /) -> None:
    """Tell nobody."""
