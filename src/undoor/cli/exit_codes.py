"""What the shell is told. Nothing else in this package decides an exit code.

| command | 0 | 1 | 2 |
|---|---|---|---|
| scan, demo | no backdoor found | backdoored | inconclusive, or an error |
| repair | no backdoor found, nothing repaired | backdoored and repaired | as above |
| check | no input is flagged | some input is | an error |
| adapt | a target was refitted | | none was, or an error |
| inspect | all files are safe, and the model opens | | unsafe or unreadable |
| evaluate, schema | done | | an error |

`--fail-on backdoored` turns the 2 of an inconclusive scan or repair into 0, `--exit-zero` the code
of every verdict. No option does so for an error. Ctrl-C ends any command with 130, as shells have
it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from undoor.vocabulary import Verdict

FailOn = Literal["backdoored", "inconclusive"]


class ExitCode(IntEnum):
    """0: nothing found. 1: a backdoor, or a flagged input. 2: no answer can be given. 130: somebody
    interrupted the work."""

    CLEAN = 0
    BACKDOORED = 1
    ERROR = 2
    INTERRUPTED = 130


def of_verdict(
    verdict: Verdict, *, fail_on: FailOn = "inconclusive", exit_zero: bool = False
) -> ExitCode:
    """Unless told otherwise, anything but a clear verdict is an error: a gate must not open on
    "inconclusive".

    >>> of_verdict("inconclusive").value, of_verdict("inconclusive", fail_on="backdoored").value
    (2, 0)
    """
    if exit_zero or verdict == "clean":
        return ExitCode.CLEAN
    if verdict == "backdoored":
        return ExitCode.BACKDOORED
    return ExitCode.CLEAN if fail_on == "backdoored" else ExitCode.ERROR
