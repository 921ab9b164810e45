"""Joint re-estimation of the classes that stand out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from undoor.inversion.candidates import Candidate, smallest
from undoor.inversion.work import Work
from undoor.scan.screen import screen


@dataclass(frozen=True, eq=False)
class Reestimate:
    """Of two candidates, the smaller.

    Attributes
    ----------
    size
        The geometric mean of both.
    """

    candidate: Candidate
    size: float


def reestimate(
    work: Work, family: str, targets: Sequence[int], first: Sequence[Candidate], *, ceiling: float
) -> Mapping[int, Reestimate]:
    """Return what a second search, with other starts and images, finds for those of `targets` that
    can be reached.

    A class that stood out by luck comes back to the others, a backdoor stays. The effort is that of
    the first search for few classes, since more of it shrinks natural triggers and a planted one
    hardly.

    Parameters
    ----------
    first
        The candidates of the family, these targets' among them.
    ceiling
        The size that stands for a class which no trigger reached.
    """
    before = {candidate.target: candidate for candidate in first}
    out = {}
    for after in screen(work, family, targets):
        best = smallest([before[after.target], after])[after.target]
        if best.size is not None:
            sizes = (before[after.target].size or ceiling, after.size or ceiling)
            out[after.target] = Reestimate(best, math.sqrt(sizes[0] * sizes[1]))
    return out
