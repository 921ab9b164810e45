"""What a trigger does to clean images: which classes it moves, where to, and how many of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.inversion.image_split import ScanImages
from undoor.inversion.triggered import triggered
from undoor.triggers import Trigger

# A class is a source where the trigger moves half of its images.
SOURCE_ASR = 0.5


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
    task = classifier.task
    away = ~task.reached(y, target)
    groups = {goal: away & task.reached(y, goal) for goal in range(classifier.num_classes)}
    return tuple(
        goal
        for goal, rows in groups.items()
        if bool(rows.any()) and moved[rows].float().mean() >= min_asr
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
    keep = ~classifier.task.reached(y, target)
    if sources:
        keep &= classifier.task.among(y, sources)
    x = images.x[images.held_out[keep]]
    if len(x) == 0:
        return 0.0
    predicted = triggered(classifier, trigger).predict(x)
    return float(classifier.task.reached(predicted, target).float().mean())
