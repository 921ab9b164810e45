"""The first search of large images on smaller ones, where the model predicts the same there."""

from __future__ import annotations

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
# The sides of the smaller images, as a share of those of the images.
SHARE = 0.5
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
    """Return what the first search works on: images of half the sides, where these are large.

    A search costs a quarter there, in time and in memory. The network must take such images, and
    predict at least nine in ten of them as at the full size; others are searched as they are. What
    stands out is confirmed at the full size in any case.

    Parameters
    ----------
    work
        The model and its images as they are.
    """
    classifier, shape = work.classifier, work.classifier.input_shape
    if classifier.space.name != IMAGES.name or min(shape[1:]) < MIN_SIDE:
        return FirstLook(work, work)
    sides = tuple(round(SHARE * side) for side in shape[1:])
    small = resized_classifier(classifier, (shape[0], *sides))
    if small is None:
        return FirstLook(work, work)
    images = smaller_images(work.images.x, small)
    logits = small.logits(images, BATCH)
    task = small.task
    predicted = task.predictions(logits)
    same = task.correct(predicted, classifier.predict(work.images.x))
    if float(same.float().mean()) < MIN_AGREEMENT:
        return FirstLook(work, work)
    known = task.correct(predicted, work.images.y)
    return FirstLook(
        replace(
            work,
            classifier=small,
            images=replace(work.images, x=images, known=known),
            class_directions=ClassDirections.of(small, images, work.images.y),
            clean_margin=clean_margin(task, logits),
        ),
        work,
    )


@torch.no_grad()
def resized_classifier(classifier: Classifier, shape: tuple[int, ...]) -> Classifier | None:
    """Return the classifier for inputs of another shape; None where the network takes none such.

    Weights are shared.
    """
    small = classifier.for_shape(shape).limited(_more(classifier.capacity))
    probe = small.counted(None)
    try:
        logits = probe(probe.examples(2))
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError, UndoorError):
        return None
    right = logits.shape == (2, classifier.num_outputs) and bool(torch.isfinite(logits).all())
    return small if right else None


def _more(capacity: Capacity | None) -> Capacity | None:
    """Return how many smaller inputs there may be at a time: what they take falls with the area."""
    if capacity is None:
        return None
    times = round(1 / SHARE**2)
    return Capacity(times * capacity.learning, times * capacity.inference)


def smaller_images(images: Tensor, classifier: Classifier) -> Tensor:
    """Return images [N, C, H, W] in the size that the classifier takes, within its bounds."""
    sides = classifier.input_shape[1:]
    parts = [
        F.interpolate(part, sides, mode="bilinear", antialias=True, align_corners=False)
        for part in images.split(BATCH)
    ]
    return torch.cat(parts).clamp(*classifier.bounds)
