"""The exit codes of all commands. Nothing else in this package decides one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from undoor.vocabulary import Verdict

FailOn = Literal["backdoored", "inconclusive"]


class ExitCode(IntEnum):
    """Why a command ended; `MEANINGS` describes each."""

    CLEAN = 0
    BACKDOORED = 1
    INCONCLUSIVE = 2
    USAGE = 3
    FAILURE = 4
    POOR_REPAIR = 5
    BUDGET_ENDED = 6
    INTERRUPTED = 130


MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.CLEAN: "done, and nothing found",
    ExitCode.BACKDOORED: "a backdoor, or an input that is flagged",
    ExitCode.INCONCLUSIVE: "no verdict can be given, or not for all inputs",
    ExitCode.USAGE: "an option or argument is wrong; nothing was done",
    ExitCode.FAILURE: "unusable input, a refused model, or an error in undoor",
    ExitCode.POOR_REPAIR: "repaired, but the repair's own cross-validated RA (SIA) is poor",
    ExitCode.BUDGET_ENDED: "--max-passes or --max-seconds ended before the repair was done",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}
# From the best to the worst, for one code of many.
SEVERITY: Final = (
    ExitCode.CLEAN,
    ExitCode.INCONCLUSIVE,
    ExitCode.BACKDOORED,
    ExitCode.POOR_REPAIR,
    ExitCode.BUDGET_ENDED,
    ExitCode.USAGE,
    ExitCode.FAILURE,
    ExitCode.INTERRUPTED,
)
# Those that every command may end with.
ERRORS: Final = (ExitCode.USAGE, ExitCode.FAILURE)


def of_verdict(
    verdict: Verdict, *, fail_on: FailOn = "inconclusive", exit_zero: bool = False
) -> ExitCode:
    """Return the exit code of a verdict.

    By default only "clean" is a success: a gate must not open on "inconclusive".

    >>> of_verdict("inconclusive").value, of_verdict("inconclusive", fail_on="backdoored").value
    (2, 0)
    """
    if exit_zero or verdict == "clean":
        return ExitCode.CLEAN
    if verdict == "backdoored":
        return ExitCode.BACKDOORED
    return ExitCode.CLEAN if fail_on == "backdoored" else ExitCode.INCONCLUSIVE


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the worst of some exit codes; `CLEAN` where there are none.

    >>> worst([ExitCode.BACKDOORED, ExitCode.INCONCLUSIVE]).name
    'BACKDOORED'
    """
    return max(codes, key=SEVERITY.index, default=ExitCode.CLEAN)
