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
    known
        [N], whether the model answers the image with its own class.
    """

    x: Tensor
    y: Tensor
    known: Tensor
    estimate: Tensor
    held_out: Tensor

    def pool(self, target: int, sources: Sequence[int] | None = None) -> Tensor:
        """Return indices for estimating: all classes but the target, or these sources alone."""
        keep = self.y[self.estimate] != target
        if sources is not None:
            keep &= torch.isin(self.y[self.estimate], indices(sources, self.y.device))
        return self.estimate[keep]

    def known_pool(self, source: int | None = None) -> Tensor:
        """Return indices for estimating what makes images of this class, or of all, leave their
        own: an image that the model does not know has left it already.
        """
        keep = self.known[self.estimate]
        if source is not None:
            keep = keep & (self.y[self.estimate] == source)
        return self.estimate[keep]


def split(clean: CleanSet, known: Tensor, generator: torch.Generator) -> ScanImages:
    """About a third of each class is held out; a class with one image serves in both halves."""
    estimate, held_out = [], []
    for label in clean.labels.unique():
        rows = (clean.labels == label).nonzero()[:, 0]
        rows = rows[shuffled(len(rows), generator, rows.device)]
        cut = max(1, round(len(rows) * HELD_OUT))
        held_out.append(rows[:cut])
        estimate.append(rows[cut:] if len(rows) > 1 else rows)
    kept = torch.cat(held_out)
    kept = kept[shuffled(len(kept), generator, kept.device)[:MAX_HELD_OUT]]
    return ScanImages(clean.images, clean.labels, known, torch.cat(estimate), kept)


def whole(clean: CleanSet) -> ScanImages:
    """Return the clean set uncut, where nothing is decided by what triggers do on held-out images,
    nor any image asked to leave its class: all count as known.
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
    """Return the classes of which the trigger moves at least this share of the images to
    `target`.
    """
    answers = triggered(classifier, trigger).predict(x)
    moved = classifier.task.reached(answers, target)
    return tuple(
        label
        for label in y.unique().tolist()
        if label != target and moved[y == label].float().mean() >= min_asr
    )


@torch.no_grad()
def flow(classifier: Classifier, x: Tensor, y: Tensor, trigger: Trigger) -> Tensor:
    """[K, K]: of the triggered images of each class, the share that is answered each class.

    Zeros for a class without images.
    """
    answers = triggered(classifier, trigger).predict(x)
    classes = classifier.num_classes
    counts = torch.zeros(classes, classes, device=y.device)
    counts.index_put_((y, answers), torch.ones(len(y), device=y.device), accumulate=True)
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
    """Share of the held-out images, of these sources or of all other classes, that move."""
    y = images.y[images.held_out]
    keep = y != target
    if sources:
        keep &= torch.isin(y, indices(sources, y.device))
    x = images.x[images.held_out[keep]]
    if len(x) == 0:
        return 0.0
    answers = triggered(classifier, trigger).predict(x)
    return float(classifier.task.reached(answers, target).float().mean())
