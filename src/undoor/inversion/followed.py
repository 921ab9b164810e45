"""Which classes are searched to the end: all of few; of many the most promising and some others."""

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


def number_followed(classes: int) -> int:
    """Return how many of so many classes are followed.

    >>> number_followed(10), number_followed(15), number_followed(43)
    (10, 15, 18)
    """
    return classes if classes <= FEW_CLASSES else min(classes, PROMISING + DRAWN)


def followed(
    work: Work, family: Family, searches: Sequence[Search], extra: Sequence[Search] = ()
) -> tuple[Candidate, ...]:
    """Search for triggers of one family, to the end for the classes that are followed.

    Parameters
    ----------
    work
        The model, its images and the budget.
    family
        The trigger family.
    searches
        One per class, from noise.
    extra
        Searches beside those that start from noise.

    Returns
    -------
    tuple of Candidate
        The smallest of each class that was followed, in class order.
    """
    kind, effort = family.candidates.name, family.effort
    if len(searches) <= FEW_CLASSES:
        starts = [*repeated(searches, effort.starts), *extra]
        return each_smallest(work.invert(starts, kind, effort.schedule))
    found = work.invert([*searches, *extra], kind, effort.trial())
    first = smallest(found)
    followed = some(work, list(first))
    by_target = {search.target: search for search in searches}
    rest = [replace(by_target[t], start=first[t].trigger) for t in followed]
    last = smallest([*work.invert(rest, kind, effort.rest()), *found])
    return tuple(last[target] for target in followed)


def each_smallest(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the smallest of each target, in class order."""
    found = smallest(candidates)
    return tuple(found[target] for target in sorted(found))


def some(work: Work, order: Sequence[int]) -> list[int]:
    """Return the targets that are followed, given all from the most to the least promising."""
    promising, others = order[:PROMISING], sorted(order[PROMISING:])
    drawn = shuffled(len(others), work.run.generator, CPU)[:DRAWN].tolist()
    return sorted([*promising, *(others[i] for i in drawn)])


def repeated(searches: Sequence[Search], starts: int) -> list[Search]:
    """Return each search `starts` times."""
    return [search for search in searches for _ in range(starts)]
