"""The first look at every class: the smallest trigger that a little work finds in a family."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.progress import Progress
from undoor.scan.effort import first_effort
from undoor.scan.images import ScanImages
from undoor.scan.invert import Candidate, Search, invert, smallest
from undoor.scan.meter import Meter
from undoor.scan.probe import IMAGES, pulls, waves


def screen(
    classifier: Classifier,
    images: ScanImages,
    family: str,
    generator: torch.Generator,
    meter: Meter,
    progress: Progress,
) -> tuple[Candidate, ...]:
    """A candidate for each class as a target, in class order."""
    classes = range(classifier.num_classes)
    effort = first_effort(family, len(classes))
    pools = [images.pool(target) for target in classes]
    searches = [Search(t, pools[t]) for t in classes for _ in range(effort.starts)]
    if family == "frequency":
        searches += _from_waves(classifier, images, pools, generator, meter)
    candidates = invert(
        classifier,
        images.x,
        searches,
        family=family,
        schedule=effort.schedule,
        generator=generator,
        meter=meter,
        progress=progress,
    )
    best = smallest(candidates)
    return tuple(best[target] for target in classes)


def _from_waves(
    classifier: Classifier,
    images: ScanImages,
    pools: list[Tensor],
    generator: torch.Generator,
    meter: Meter,
) -> list[Search]:
    """For each class, a search from the wave that pulls most to it."""
    drawn = images.estimate[torch.randperm(len(images.estimate), generator=generator)[:IMAGES]]
    probes = waves(classifier.input_shape, classifier.bounds)
    pull = pulls(classifier, images.x[drawn], images.y[drawn], probes)
    meter.spend(len(probes) * len(drawn) / 2)
    best = pull.argmax(0).tolist()
    return [Search(t, pool, probes[best[t]]) for t, pool in enumerate(pools)]
