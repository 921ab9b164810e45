"""Joint re-estimation of the classes that stand out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from undoor.inversion.candidates import Candidate, smallest
from undoor.inversion.smaller import FirstLook
from undoor.scan.screen import screen


@dataclass(frozen=True, eq=False)
class Reestimate:
    """A second estimate of a class's trigger.

    Attributes
    ----------
    candidate
        The smaller of the first and the second.
    size
        The geometric mean of both, in the family's unit.
    """

    candidate: Candidate
    size: float


def reestimate(
    look: FirstLook,
    family: str,
    targets: Sequence[int],
    first: Sequence[Candidate],
    *,
    ceiling: float,
) -> Mapping[int, Reestimate]:
    """Search a second time, with other starts and images, for classes that stand out.

    A class that stood out by chance returns to the others, a backdoor does not. The effort is that
    of the first search for few classes, since more of it shrinks natural triggers, and a planted
    one hardly.

    Parameters
    ----------
    look
        What the first search worked on.
    family
        The name of the trigger family.
    targets
        The classes.
    first
        The candidates of the family, these targets' among them.
    ceiling
        The size that stands for a class which no trigger reached.

    Returns
    -------
    mapping of int to Reestimate
        By class, for those of `targets` that a trigger reached.
    """
    before = {candidate.target: candidate for candidate in first}
    out = {}
    for after in map(look.at_full_size, screen(look.work, family, targets)):
        smaller = smallest([before[after.target], after])[after.target]
        if smaller.size is not None:
            sizes = (before[after.target].size or ceiling, after.size or ceiling)
            out[after.target] = Reestimate(smaller, math.sqrt(sizes[0] * sizes[1]))
    return out
