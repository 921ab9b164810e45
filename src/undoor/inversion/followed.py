"""Of few classes all are searched to the end, of many the most promising and some others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from undoor.device import CPU, shuffled
from undoor.families.family import Family
from undoor.inversion.candidates import Candidate, Search, smallest
from undoor.inversion.work import Work

# With more classes than this, all get a short trial and only some are followed to the end.
FEW_CLASSES = 12
# Of many classes, how many of the most promising are followed, and beside how many others, drawn
# at random, to compare with.
PROMISING = 6
DRAWN = 12


def followed(
    work: Work, family: Family, searches: Sequence[Search], extra: Sequence[Search] = ()
) -> tuple[Candidate, ...]:
    """extra : searches beside those that start from noise."""
    kind, effort = family.candidates.name, family.effort
    if len(searches) <= FEW_CLASSES:
        starts = [*repeated(searches, effort.starts), *extra]
        return each_smallest(work.invert(starts, kind, effort.schedule))
    found = work.invert([*searches, *extra], kind, effort.trial())
    best = smallest(found)
    followed = some(work, list(best))
    by_target = {search.target: search for search in searches}
    rest = [replace(by_target[t], start=best[t].trigger) for t in followed]
    last = smallest([*work.invert(rest, kind, effort.rest()), *found])
    return tuple(last[target] for target in followed)


def each_smallest(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the smallest of each target, in class order."""
    best = smallest(candidates)
    return tuple(best[target] for target in sorted(best))


def some(work: Work, order: Sequence[int]) -> list[int]:
    """Return of targets from the most to the least promising, those that are followed."""
    promising, others = order[:PROMISING], sorted(order[PROMISING:])
    drawn = shuffled(len(others), work.generator, CPU)[:DRAWN].tolist()
    return sorted([*promising, *(others[i] for i in drawn)])


def repeated(searches: Sequence[Search], starts: int) -> list[Search]:
    return [search for search in searches for _ in range(starts)]
