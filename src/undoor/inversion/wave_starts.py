"""Where searches start in families with a fixed set of probes, such as waves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.device import autocast, shuffled
from undoor.families.family import Family
from undoor.inversion.candidates import Search
from undoor.inversion.work import Work
from undoor.triggers import Trigger

# Images that the probes are tried on.
IMAGES = 10


@torch.no_grad()
def pulls(classifier: Classifier, x: Tensor, y: Tensor, probes: Sequence[Trigger]) -> Tensor:
    """Return the mean probability of each class under each probe.

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
        [probes, K], over the inputs of all other classes.
    """
    others = F.one_hot(y, classifier.num_classes) == 0
    count = others.sum(0).clamp_min(1)
    out = []
    for probe in probes:
        with autocast(x.device):
            logits = classifier.logits(probe(x))
        out.append((classifier.task.probabilities(logits.float()) * others).sum(0) / count)
    return torch.stack(out)


def from_probes(work: Work, searches: Sequence[Search], family: Family) -> list[Search]:
    """Return each search again, from the probe that pulls most to its target.

    Nothing for families without probes.
    """
    if family.probes is None:
        return []
    images, classifier = work.images, work.classifier
    order = shuffled(len(images.estimate), work.run.generator, images.estimate.device)
    drawn = images.estimate[order[:IMAGES]]
    probes = family.probes(classifier.input_shape, classifier.bounds)
    pull = pulls(classifier, images.x[drawn], images.y[drawn], probes)
    strongest = pull.argmax(0).tolist()
    return [replace(search, start=probes[strongest[search.target]]) for search in searches]
