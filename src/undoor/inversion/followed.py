"""Of few classes all are searched to the end, of many the most promising and some others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from undoor.families.registry import BY_SOURCE
from undoor.inversion.invert import Candidate, Search, smallest
from undoor.inversion.schedules import (
    FEW_CLASSES,
    first_effort,
    rest_schedule,
    trial_schedule,
)
from undoor.inversion.work import Work

# Of many classes, how many of the most promising are followed, and beside how many others, drawn
# at random, to compare with.
PROMISING = 6
DRAWN = 12


def followed(
    work: Work, family: str, searches: Sequence[Search], extra: Sequence[Search] = ()
) -> tuple[Candidate, ...]:
    """extra : searches beside those that start from noise."""
    kind = "patch" if family == BY_SOURCE else family
    if len(searches) <= FEW_CLASSES:
        effort = first_effort(family)
        starts = [*repeated(searches, effort.starts), *extra]
        return each_smallest(work.invert(starts, kind, effort.schedule))
    found = work.invert([*searches, *extra], kind, trial_schedule(family))
    best = smallest(found)
    followed = some(work, list(best))
    by_target = {search.target: search for search in searches}
    rest = [replace(by_target[t], start=best[t].trigger) for t in followed]
    last = smallest([*work.invert(rest, kind, rest_schedule(family)), *found])
    return tuple(last[target] for target in followed)


def each_smallest(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The smallest of each target, in class order."""
    best = smallest(candidates)
    return tuple(best[target] for target in sorted(best))


def some(work: Work, order: Sequence[int]) -> list[int]:
    """Of targets from the most to the least promising, those that are followed."""
    promising, others = order[:PROMISING], sorted(order[PROMISING:])
    drawn = torch.randperm(len(others), generator=work.generator)[:DRAWN].tolist()
    return sorted([*promising, *(others[i] for i in drawn)])


def repeated(searches: Sequence[Search], starts: int) -> list[Search]:
    return [search for search in searches for _ in range(starts)]
