"""What the shell is told. Nothing else in this package decides an exit code."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from undoor.scan.report import Verdict


class ExitCode(IntEnum):
    """0: nothing found. 1: a backdoor, or a flagged input. 2: no answer can be given."""

    CLEAN = 0
    BACKDOORED = 1
    ERROR = 2


def of_verdict(verdict: Verdict) -> ExitCode:
    """Anything but a clear verdict is an error: a gate must not open on "inconclusive"."""
    if verdict == "clean":
        return ExitCode.CLEAN
    return ExitCode.BACKDOORED if verdict == "backdoored" else ExitCode.ERROR
