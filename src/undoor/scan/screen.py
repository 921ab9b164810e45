"""The first look at every class: the smallest trigger that a little work finds in a family."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.scan.effort import first_effort
from undoor.scan.invert import Candidate, Search, smallest
from undoor.scan.probe import IMAGES, pulls, waves
from undoor.scan.work import Work


def screen(work: Work, family: str) -> tuple[Candidate, ...]:
    """A candidate for each class as a target, in class order."""
    classes = range(work.classifier.num_classes)
    effort = first_effort(family, len(classes))
    pools = [work.images.pool(target) for target in classes]
    searches = [Search(t, pools[t]) for t in classes for _ in range(effort.starts)]
    if family == "frequency":
        searches += _from_waves(work, pools)
    best = smallest(work.invert(searches, family, effort.schedule))
    return tuple(best[target] for target in classes)


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
