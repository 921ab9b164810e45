"""The images of a scan: what triggers are estimated on, tried on, and which classes they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import indices, shuffled
from undoor.inversion.triggered import triggered
from undoor.triggers import Trigger

HELD_OUT = 0.3
MAX_HELD_OUT = 400
# A class is a source where the trigger moves half of its images.
SOURCE_ASR = 0.5


@dataclass(frozen=True, eq=False)
class ScanImages:
    """The clean set cut in two: what triggers are estimated on, and what they are tried on.

    Attributes
    ----------
    x
        Clean inputs [N, ...].
    y
        Their labels [N].
    known
        [N], whether the model predicts the image as its class.
    estimate, held_out
        Indices of the images that triggers are estimated on, and tried on.
    """

    x: Tensor
    y: Tensor
    known: Tensor
    estimate: Tensor
    held_out: Tensor

    def pool(self, target: int, sources: Sequence[int] | None = None) -> Tensor:
        """Return the indices to estimate on: all classes but the target, or the given sources."""
        keep = self.y[self.estimate] != target
        if sources is not None:
            keep &= torch.isin(self.y[self.estimate], indices(sources, self.y.device))
        return self.estimate[keep]

    def known_pool(self, source: int | None = None) -> Tensor:
        """Return the indices to estimate on where images are to leave their class.

        An image that the model does not predict as its class has left it already.

        Parameters
        ----------
        source
            The class of the images; None for all.
        """
        keep = self.known[self.estimate]
        if source is not None:
            keep = keep & (self.y[self.estimate] == source)
        return self.estimate[keep]


def split(clean: CleanSet, known: Tensor, generator: torch.Generator) -> ScanImages:
    """Hold out about a third of each class; a class with one image serves in both parts.

    Parameters
    ----------
    clean
        Clean images.
    known
        [N], as of `ScanImages`.
    generator
        The source of chance, on the CPU.
    """
    estimate, held_out = [], []
    for label in clean.labels.unique():
        rows = (clean.labels == label).nonzero()[:, 0]
        rows = rows[shuffled(len(rows), generator, rows.device)]
        cut = max(1, round(len(rows) * HELD_OUT))
        held_out.append(rows[:cut])
        estimate.append(rows[cut:] if len(rows) > 1 else rows)
    drawn = torch.cat(held_out)
    drawn = drawn[shuffled(len(drawn), generator, drawn.device)[:MAX_HELD_OUT]]
    return ScanImages(clean.images, clean.labels, known, torch.cat(estimate), drawn)


def whole(clean: CleanSet) -> ScanImages:
    """Return the clean set undivided, all of it known.

    For work in which held-out images decide nothing and no image is to leave its class.
    """
    rows = torch.arange(len(clean), device=clean.labels.device)
    known = torch.ones_like(rows, dtype=torch.bool)
    return ScanImages(clean.images, clean.labels, known, rows, rows)


@torch.no_grad()
def find_sources(
    classifier: Classifier,
    x: Tensor,
    y: Tensor,
    trigger: Trigger,
    target: int,
    *,
    min_asr: float = SOURCE_ASR,
) -> tuple[int, ...]:
    """Return the classes whose images a trigger moves to the target.

    Parameters
    ----------
    classifier
        The model that is scanned.
    x
        Clean inputs [N, ...].
    y
        Their labels [N].
    trigger
        What is put on them.
    target
        The class that they are to be predicted as.
    min_asr
        The share of a class's images that must be, in [0, 1].

    Returns
    -------
    tuple of int
        In class order, without the target.
    """
    predicted = triggered(classifier, trigger).predict(x)
    moved = classifier.task.reached(predicted, target)
    return tuple(
        label
        for label in y.unique().tolist()
        if label != target and moved[y == label].float().mean() >= min_asr
    )


@torch.no_grad()
def flow(classifier: Classifier, x: Tensor, y: Tensor, trigger: Trigger) -> Tensor:
    """Return [K, K]: the share of the triggered images of each class predicted as each class.

    Zeros for a class without images.
    """
    predicted = triggered(classifier, trigger).predict(x)
    classes = classifier.num_classes
    counts = torch.zeros(classes, classes, device=y.device)
    counts.index_put_((y, predicted), torch.ones(len(y), device=y.device), accumulate=True)
    return counts / counts.sum(1, keepdim=True).clamp_min(1)


def find_left(
    classifier: Classifier, x: Tensor, y: Tensor, trigger: Trigger, *, minimum: float
) -> tuple[int, ...]:
    """Return the classes whose images the trigger makes leave, wherever they go.

    Parameters
    ----------
    classifier
        The model that is scanned.
    x
        Clean inputs [N, ...] that it predicts as their class.
    y
        Their labels [N].
    trigger
        What is put on them.
    minimum
        The share of a class's inputs that are predicted as another class, in [0, 1].

    Returns
    -------
    tuple of int
        The classes with at least this share, in order.
    """
    moved = flow(classifier, x, y, trigger).fill_diagonal_(0).sum(1)
    return tuple((moved >= minimum).nonzero()[:, 0].tolist())


def held_out_asr(
    classifier: Classifier,
    images: ScanImages,
    trigger: Trigger,
    target: int,
    sources: Sequence[int] | None = None,
) -> float:
    """Return the attack success rate of a trigger on held-out images.

    Parameters
    ----------
    classifier
        The model that is scanned.
    images
        Its images.
    trigger
        What is put on them.
    target
        The class that they are to be predicted as.
    sources
        The classes of the images; all but the target where none are given.

    Returns
    -------
    float
        In [0, 1]; 0 where there are no such images.
    """
    y = images.y[images.held_out]
    keep = y != target
    if sources:
        keep &= torch.isin(y, indices(sources, y.device))
    x = images.x[images.held_out[keep]]
    if len(x) == 0:
        return 0.0
    predicted = triggered(classifier, trigger).predict(x)
    return float(classifier.task.reached(predicted, target).float().mean())
