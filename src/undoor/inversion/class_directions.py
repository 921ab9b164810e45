"""The natural direction of each class in the last layer, and a network barred from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.sites import exchange
from undoor.sites.heads import Head, find_heads

BATCH = 256


@dataclass(frozen=True, eq=False)
class HeadFeatures:
    """What one head reads of clean images.

    Attributes
    ----------
    head
        The last layer.
    values
        Its input features [N, D].
    directions
        [K, D], unit vectors from the mean of the classes' means to that of each class.
    """

    head: Head
    values: Tensor
    directions: Tensor

    @classmethod
    def of(cls, head: Head, values: Tensor, of_goals: Sequence[Tensor]) -> Self:
        """Compute the directions from features [N, D], and which inputs [N] are at each goal."""
        means = torch.stack([values[rows].mean(0) for rows in of_goals])
        return cls(head, values, F.normalize(means - means.mean(0), dim=1))


@dataclass(frozen=True, eq=False)
class ClassDirections:
    """The features that the last layers read, and where those of each class lie.

    Any class can be reached by making an input look like it. A backdoor does not: its inputs
    reach the target in another direction. So where a trigger may not use the direction in which
    clean images of the target lie, natural triggers get large or fail, and a backdoor's hardly
    change (the idea of class subspace orthogonalisation, arXiv 2512.08129, as a projection instead
    of a penalty).

    Attributes
    ----------
    heads
        One as a rule; every one of averaged heads.
    """

    heads: tuple[HeadFeatures, ...]

    @classmethod
    def of(cls, classifier: Classifier, x: Tensor, y: Tensor) -> Self | None:
        """Compute them from clean images x [N, ...] with labels y [N].

        None where the network has no linear head (`undoor.sites.heads`), a class has no image, or
        the task's goals have no directions.
        """
        if not classifier.task.directed:
            return None
        heads = find_heads(classifier)
        of_goals = [classifier.task.reached(y, goal) for goal in range(classifier.num_classes)]
        if not heads or not all(bool(rows.any()) for rows in of_goals):
            return None
        inputs = _inputs(classifier, heads, x)
        if any(len(values) != len(x) for values in inputs):
            return None
        return cls(
            tuple(
                HeadFeatures.of(head, values, of_goals)
                for head, values in zip(heads, inputs, strict=True)
            )
        )


class Barred(nn.Module):
    """A last layer without the part of its input that moved the features in a direction."""

    def __init__(self, inner: nn.Module, head: Head) -> None:
        super().__init__()
        self.inner = inner
        self.head = head
        self.clean: Tensor | None = None
        self.direction: Tensor | None = None

    def bar(self, clean: Tensor, direction: Tensor) -> None:
        """Set features without trigger and barred directions, both [N, D], of the next batch."""
        self.clean, self.direction = clean, direction

    def forward(self, z: Tensor) -> Tensor:
        """Return the output of the layer for z without the barred part."""
        assert self.clean is not None
        assert self.direction is not None
        features = self.head.features(z.float())
        towards = ((features - self.clean) * self.direction).sum(1, keepdim=True).clamp_min(0)
        change = self.head.spread(towards * self.direction, z)
        return self.inner((z.float() - change).to(z.dtype))


def barred(classifier: Classifier, heads: Sequence[Head]) -> tuple[Classifier, tuple[Barred, ...]]:
    """Return a copy of a classifier with its last layers barred, and these layers."""
    for head in heads:
        classifier = exchange(classifier, head.name, partial(Barred, head=head))
    found = [classifier.get_submodule(head.name) for head in heads]
    return classifier, tuple(layer for layer in found if isinstance(layer, Barred))


@torch.no_grad()
def _inputs(classifier: Classifier, heads: Sequence[Head], x: Tensor) -> list[Tensor]:
    """Return the features [N, D] that each head reads in a forward pass of x."""
    seen: dict[str, list[Tensor]] = {head.name: [] for head in heads}

    class Reader(nn.Module):
        def __init__(self, inner: nn.Module, head: Head) -> None:
            super().__init__()
            self.inner = inner
            self.head = head

        def forward(self, z: Tensor) -> Tensor:
            seen[self.head.name].append(self.head.features(z.float()))
            return self.inner(z)

    reading = classifier
    for head in heads:
        reading = exchange(reading, head.name, partial(Reader, head=head))
    for batch in classifier.batches(x, BATCH):
        reading(batch)
    return [torch.cat(values) for values in seen.values()]
