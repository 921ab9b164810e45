"""The first look at every class: the smallest trigger that a little work finds in a family."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from undoor.scan.effort import FEW_CLASSES, first_effort, rest_schedule, trial_effort
from undoor.scan.families import BY_SOURCE, SHARED
from undoor.scan.invert import ALL, Candidate, Search, smallest
from undoor.scan.probe import IMAGES, pulls, waves
from undoor.scan.work import Work

# Of many classes, how many of the most promising are followed, and beside how many others, drawn
# at random, to compare with.
PROMISING = 6
DRAWN = 12


def screen(work: Work, family: str) -> tuple[Candidate, ...]:
    """A candidate for each class that is followed as a target, in class order: all of few, and of
    many the most promising and some drawn at random."""
    pools = [work.images.pool(target) for target in range(work.classifier.num_classes)]
    extra = _from_waves(work, pools) if family == "frequency" else []
    return _followed(work, family, [Search(t, pool) for t, pool in enumerate(pools)], extra)


def screen_sources(work: Work) -> tuple[Candidate, ...]:
    """The same for each class as a source that a patch makes leave, wherever it goes: a backdoor
    for a few sources alone, or one that sends each class elsewhere, has no target that all other
    classes reach."""
    images = work.images
    pools = {k: images.known_pool(k) for k in images.y.unique().tolist()}
    searches = [Search(k, pool, leave=images.y) for k, pool in pools.items() if len(pool)]
    return _followed(work, BY_SOURCE, searches)


def screen_shared(work: Work) -> Candidate:
    """One patch that makes images of all classes leave their own."""
    effort = first_effort(SHARED)
    search = Search(ALL, work.images.known_pool(), leave=work.images.y)
    return smallest(work.invert([search] * effort.starts, "patch", effort.schedule))[ALL]


def _followed(
    work: Work, family: str, searches: Sequence[Search], extra: Sequence[Search] = ()
) -> tuple[Candidate, ...]:
    """extra : searches beside those that start from noise."""
    kind = "patch" if family == BY_SOURCE else family
    if len(searches) <= FEW_CLASSES:
        effort = first_effort(family)
        best = smallest(
            work.invert([*_repeated(searches, effort.starts), *extra], kind, effort.schedule)
        )
        return tuple(best[target] for target in sorted(best))
    trial = trial_effort(family)
    found = work.invert([*_repeated(searches, trial.starts), *extra], kind, trial.schedule)
    best = smallest(found)
    order = list(best)  # from the most to the least promising
    promising, others = order[:PROMISING], sorted(order[PROMISING:])
    drawn = torch.randperm(len(others), generator=work.generator)[:DRAWN].tolist()
    followed = sorted([*promising, *(others[i] for i in drawn)])
    by_target = {search.target: search for search in searches}
    rest = [Search(t, by_target[t].pool, best[t].trigger, by_target[t].leave) for t in followed]
    last = smallest([*work.invert(rest, kind, rest_schedule(family)), *found])
    return tuple(last[target] for target in followed)


def _repeated(searches: Sequence[Search], starts: int) -> list[Search]:
    return [search for search in searches for _ in range(starts)]


def _from_waves(work: Work, pools: list[Tensor]) -> list[Search]:
    """For each class, a search from the wave that pulls most to it."""
    images, classifier = work.images, work.classifier
    order = torch.randperm(len(images.estimate), generator=work.generator)
    drawn = images.estimate[order[:IMAGES]]
    probes = waves(classifier.input_shape, classifier.bounds)
    pull = pulls(classifier, images.x[drawn], images.y[drawn], probes)
    work.meter.spend(len(probes) * len(drawn) / 2)
    best = pull.argmax(0).tolist()
    return [Search(t, pool, probes[best[t]]) for t, pool in enumerate(pools)]
