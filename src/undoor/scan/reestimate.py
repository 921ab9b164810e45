"""Joint re-estimation of the classes that stand out."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from undoor.scan.effort import second_effort
from undoor.scan.invert import Candidate, Search, smallest
from undoor.scan.work import Work

# Classes optimised beside those looked at.
CONTROLS = 2


@dataclass(frozen=True, eq=False)
class Again:
    """A second candidate that worked. size : its own, brought to the scale of the first effort."""

    candidate: Candidate
    size: float


def reestimate(
    work: Work, targets: Sequence[int], first: Sequence[Candidate], *, ceiling: float
) -> Mapping[int, Again]:
    """Better candidates for those of `targets` that can be reached, beside classes that get the
    same effort.

    More effort gives smaller triggers for any class. By what those of the next best classes shrink
    the new sizes are divided: what remains is the class's own.

    first : the candidates of a family, these targets' among them. ceiling : the size that stands
    for a class which no trigger reached.
    """
    candidates = {candidate.target: candidate for candidate in first}
    others = [candidate for candidate in first if candidate.target not in targets]
    controls = sorted(others, key=lambda c: ceiling if c.size is None else c.size)[:CONTROLS]
    family = first[0].family
    effort = second_effort(family)
    searches = []
    for target in (*targets, *(control.target for control in controls)):
        pool, start = work.images.pool(target), candidates[target].trigger
        searches += [Search(target, pool, start), *[Search(target, pool)] * effort.starts]
    best = smallest(work.invert(searches, family, effort.schedule))
    shrunk = statistics.median(
        [min(1.0, (best[c.target].size or ceiling) / (c.size or ceiling)) for c in controls]
        or [1.0]
    )
    found = ((target, best[target]) for target in targets)
    return {t: Again(c, c.size / shrunk) for t, c in found if c.size is not None}
