"""The first search of large images on smaller ones, where the model predicts the same there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.families.registry import family_named
from undoor.inversion.candidates import Candidate
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.margins import clean_margin
from undoor.inversion.work import Work
from undoor.passes import Capacity
from undoor.spaces.images import IMAGES

# Images whose shorter side is shorter than this are searched as they are.
MIN_SIDE = 192
# The sides of the smaller images, as shares of those of the images: the first at which the model
# predicts nearly the same.
SHARES = (1 / 2, 5 / 7)
# The share of the clean images that must be predicted as at the full size.
MIN_AGREEMENT = 0.9
BATCH = 256


@dataclass(frozen=True, eq=False)
class FirstLook:
    """What the first search of a scan works on, and how its candidates come to the full size.

    Attributes
    ----------
    work
        The same model on smaller images, or the work on the images as they are.
    full
        The latter.
    """

    work: Work
    full: Work

    @property
    def smaller(self) -> bool:
        """Whether the images of the first search are smaller."""
        return self.work is not self.full

    def at_full_size(self, candidate: Candidate) -> Candidate:
        """Return a candidate for images as they are: its trigger and size grow with them."""
        if not self.smaller:
            return candidate
        growth = family_named(candidate.family).growth
        ratio = growth(self.full.classifier.extent) / growth(self.work.classifier.extent)
        return replace(
            candidate,
            size=None if candidate.size is None else candidate.size * ratio,
            trigger=candidate.trigger.resized(self.full.classifier.input_shape),
        )


def first_look_of(work: Work) -> FirstLook:
    """Return what the first search works on: smaller images, where they are large.

    At half the sides a search costs a quarter, in time and in memory; at five sevenths a half. The
    network must take such images, and predict at least nine in ten of them as at the full size;
    others are searched as they are. What stands out is confirmed at the full size in any case.

    Parameters
    ----------
    work
        The model and its images as they are.
    """
    found = smaller_look(work.classifier, work.images.x)
    return FirstLook(work if found is None else _on_smaller(work, *found), work)


def smaller_look(classifier: Classifier, images: Tensor) -> tuple[Classifier, Tensor] | None:
    """Return the model for smaller images and these images made smaller, if a scan begins so.

    None where the images are not large, or the network takes no smaller ones or predicts otherwise
    on them.

    Parameters
    ----------
    classifier
        The model.
    images
        Clean inputs [N, ...] in raw units.
    """
    channels, *sides = classifier.input_shape
    if classifier.space.name != IMAGES.name or min(sides) < MIN_SIDE:
        return None
    at_full_size = classifier.predict(images)
    for share in SHARES:
        shape = (channels, *(round(share * side) for side in sides))
        small = resized_classifier(classifier, shape)
        if small is not None:
            some = smaller_images(images, small)
            same = small.task.correct(small.predict(some), at_full_size)
            if float(same.float().mean()) >= MIN_AGREEMENT:
                return small, some
    return None


def _on_smaller(work: Work, classifier: Classifier, images: Tensor) -> Work:
    """Return the work on smaller images."""
    logits = classifier.logits(images, BATCH)
    task, y = classifier.task, work.images.y
    return replace(
        work,
        classifier=classifier,
        images=replace(work.images, x=images, known=task.correct(task.predictions(logits), y)),
        class_directions=ClassDirections.of(classifier, images, y),
        clean_margin=clean_margin(task, logits),
    )


@torch.no_grad()
def resized_classifier(classifier: Classifier, shape: tuple[int, ...]) -> Classifier | None:
    """Return the classifier for inputs of another shape; None where the network takes none such.

    Weights are shared.
    """
    share = math.prod(shape) / math.prod(classifier.input_shape)
    small = classifier.for_shape(shape).limited(_more(classifier.capacity, share))
    probe = small.counted(None)
    try:
        logits = probe(probe.examples(2))
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError, UndoorError):
        return None
    right = logits.shape == (2, classifier.num_outputs) and bool(torch.isfinite(logits).all())
    return small if right else None


def _more(capacity: Capacity | None, share: float) -> Capacity | None:
    """Return how many smaller inputs there may be at a time, which take a share of the memory."""
    if capacity is None:
        return None
    return Capacity(int(capacity.learning / share), int(capacity.inference / share))


def smaller_images(images: Tensor, classifier: Classifier) -> Tensor:
    """Return images [N, C, H, W] in the size that the classifier takes, within its bounds."""
    sides = classifier.input_shape[1:]
    parts = [
        F.interpolate(part, sides, mode="bilinear", antialias=True, align_corners=False)
        for part in images.split(BATCH)
    ]
    return torch.cat(parts).clamp(*classifier.bounds)
