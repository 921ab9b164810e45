"""Where searches start in families with a fixed set of probes, such as waves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import autocast, shuffled
from undoor.families.at_size import ENOUGH
from undoor.families.family import Family
from undoor.inversion.candidates import Search
from undoor.inversion.work import Work
from undoor.triggers import Trigger

# Images that the probes are tried on.
IMAGES = 10


@torch.no_grad()
def probe_margins(
    classifier: Classifier, x: Tensor, y: Tensor, probes: Sequence[Trigger]
) -> Tensor:
    """Return how clearly inputs of all other classes go to each class under each probe.

    Not the share of inputs that move: of a few inputs several probes would move all.

    Parameters
    ----------
    classifier
        The model that is scanned.
    x, y
        Clean inputs [N, ...] and their labels [N].
    probes
        The triggers to try.

    Returns
    -------
    Tensor
        [probes, K], mean margins in logits, each at most `ENOUGH`.
    """
    task, classes = classifier.task, range(classifier.num_classes)
    others = torch.stack([~task.reached(y, goal) for goal in classes], 1)
    count = others.sum(0).clamp_min(1)
    with autocast(x.device):
        logits = torch.cat([classifier.logits(probe(x)).float() for probe in probes])
    # Of all probes at once: there are hundreds, and perhaps a thousand classes.
    margins = torch.stack([task.margin(logits, goal) for goal in classes], 1)
    each = margins.clamp(max=ENOUGH).view(len(probes), *others.shape)
    return (each * others).sum(1) / count


def from_probes(
    work: Work, searches: Sequence[Search], family: Family, count: int = 1
) -> list[list[Search]]:
    """Return each search again, from the `count` probes that move most to its target.

    Parameters
    ----------
    work
        The model and its images.
    searches
        One per class.
    family
        The trigger family.
    count
        At least 0.

    Returns
    -------
    list of list of Search
        One list for each of `searches`, the clearest first; empty where the family has no probes.
    """
    if family.probes is None or count == 0:
        return [[] for _ in searches]
    images, classifier = work.images, work.classifier
    order = shuffled(len(images.estimate), work.run.generator, images.estimate.device)
    drawn = images.estimate[order[:IMAGES]]
    probes = family.probes(classifier.input_shape, classifier.bounds)
    margins = probe_margins(classifier, images.x[drawn], images.y[drawn], probes)
    clearest = margins.argsort(0, descending=True)[:count].T.tolist()
    return [
        [replace(search, start=probes[index]) for index in clearest[search.target]]
        for search in searches
    ]
