"""What the network itself takes for a class, and a network that may not be moved that way."""

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
    values
        [N, D].
    directions
        [K, D], unit vectors from the mean of the classes' means to that of each class.
    """

    head: Head
    values: Tensor
    directions: Tensor

    @classmethod
    def of(cls, head: Head, values: Tensor, y: Tensor, classes: int) -> Self:
        means = torch.stack([values[y == k].mean(0) for k in range(classes)])
        return cls(head, values, F.normalize(means - means.mean(0), dim=1))


@dataclass(frozen=True, eq=False)
class ClassDirections:
    """The features that the last layers read, and where those of each class lie.

    Any class can be reached by making an input look like it. A backdoor does not: its inputs
    reach the target by a way of their own. So where a trigger may not use the direction in which
    the target's own images lie, natural triggers get large or fail, and a backdoor's hardly change
    (the idea of class subspace orthogonalisation, arXiv 2512.08129, as a projection instead of a
    penalty).

    Attributes
    ----------
    heads
        One as a rule; of averaged heads each.
    """

    heads: tuple[HeadFeatures, ...]

    @classmethod
    def of(cls, classifier: Classifier, x: Tensor, y: Tensor) -> Self | None:
        """From clean images x [N, ...] with labels y [N].

        None where the network has no linear head (`undoor.sites.heads`) or a class has no image.
        """
        heads = find_heads(classifier)
        if not heads or len(y.unique()) < classifier.num_classes:
            return None
        inputs = _inputs(classifier, heads, x)
        if any(len(values) != len(x) for values in inputs):
            return None
        classes = classifier.num_classes
        return cls(
            tuple(
                HeadFeatures.of(head, values, y, classes)
                for head, values in zip(heads, inputs, strict=True)
            )
        )


class Barred(nn.Module):
    """A last layer whose input has lost what moved its features towards a direction."""

    def __init__(self, inner: nn.Module, head: Head) -> None:
        super().__init__()
        self.inner = inner
        self.head = head
        self.clean: Tensor | None = None
        self.direction: Tensor | None = None

    def bar(self, clean: Tensor, direction: Tensor) -> None:
        """For the next batch: its features without trigger and the barred directions [N, D]."""
        self.clean, self.direction = clean, direction

    def forward(self, z: Tensor) -> Tensor:
        assert self.clean is not None
        assert self.direction is not None
        features = self.head.features(z.float())
        towards = ((features - self.clean) * self.direction).sum(1, keepdim=True).clamp_min(0)
        change = self.head.spread(towards * self.direction, z)
        return self.inner((z.float() - change).to(z.dtype))


def barred(classifier: Classifier, heads: Sequence[Head]) -> tuple[Classifier, tuple[Barred, ...]]:
    """Return a copy of `classifier` with its last layers barred, and these."""
    for head in heads:
        classifier = exchange(classifier, head.name, partial(Barred, head=head))
    found = [classifier.get_submodule(head.name) for head in heads]
    return classifier, tuple(layer for layer in found if isinstance(layer, Barred))


@torch.no_grad()
def _inputs(classifier: Classifier, heads: Sequence[Head], x: Tensor) -> list[Tensor]:
    """Return what each head reads [N, D] when the classifier answers x."""
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
