"""The natural direction of each class in the last layer, and a network barred from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.sites import exchange
from undoor.sites.heads import Head, find_heads

BATCH = 256
# Of the singular values of directions, those below this share of the largest are rounding.
NEGLIGIBLE = 1e-4


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

    @cached_property
    def span(self) -> Tensor:
        """An orthonormal basis [R, D] of all directions."""
        _, strength, basis = torch.linalg.svd(self.directions, full_matrices=False)
        return basis[strength > NEGLIGIBLE * strength.max()]

    @classmethod
    def of(cls, head: Head, values: Tensor, of_goals: Tensor, slopes: Tensor | None = None) -> Self:
        """Compute the directions from features [N, D] of images.

        Parameters
        ----------
        of_goals
            [K, N], which images are of each class.
        slopes
            Of the class scores in the features [K, D]. A class without images lies where its score
            rises, beside those of the other classes. Not needed where all classes have images.
        """
        seen = of_goals.any(1)
        means = torch.stack([values[rows].mean(0) for rows in of_goals[seen]])
        of_seen = F.normalize(means - means.mean(0), dim=1)
        if slopes is None:
            return cls(head, values, of_seen)
        directions = F.normalize(slopes - slopes.mean(0), dim=1)
        directions[seen] = of_seen
        return cls(head, values, directions)


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

        None where the network has no linear head (`undoor.sites.heads`), or the task's goals have
        no directions.
        """
        if not classifier.task.directed:
            return None
        heads = find_heads(classifier)
        goals = range(classifier.num_classes)
        of_goals = torch.stack([classifier.task.reached(y, goal) for goal in goals])
        whole = bool(of_goals.any(1).all())
        if not heads or (not whole and len(goals) != classifier.num_outputs):
            return None
        inputs = _inputs(classifier, heads, x)
        if any(len(values) != len(x) for values in inputs):
            return None
        slopes: list[Tensor | None] = [None] * len(heads)
        if not whole:
            slopes = [*_slopes(classifier, heads, x[:1])]
        return cls(
            tuple(
                HeadFeatures.of(head, values, of_goals, slope)
                for head, values, slope in zip(heads, inputs, slopes, strict=True)
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
        self.span: Tensor | None = None

    def bar(self, clean: Tensor, direction: Tensor) -> None:
        """Set features without trigger and barred directions, both [N, D], of the next batch."""
        self.clean, self.direction, self.span = clean, direction, None

    def bar_all(self, clean: Tensor, span: Tensor) -> None:
        """Set features without trigger [N, D], and the basis [R, D] of all that is barred."""
        self.clean, self.direction, self.span = clean, None, span

    def forward(self, z: Tensor) -> Tensor:
        """Return the output of the layer for z without the barred part."""
        assert self.clean is not None
        moved = self.head.features(z.float()) - self.clean
        if self.span is not None:
            barred = moved @ self.span.T @ self.span
        else:
            assert self.direction is not None
            barred = (moved * self.direction).sum(1, keepdim=True).clamp_min(0) * self.direction
        change = self.head.spread(barred, z)
        return self.inner((z.float() - change).to(z.dtype))


def barred(classifier: Classifier, heads: Sequence[Head]) -> tuple[Classifier, tuple[Barred, ...]]:
    """Return a copy of a classifier with its last layers barred, and these layers."""
    for head in heads:
        classifier = exchange(classifier, head.name, partial(Barred, head=head))
    found = [classifier.get_submodule(head.name) for head in heads]
    return classifier, tuple(layer for layer in found if isinstance(layer, Barred))


def _slopes(classifier: Classifier, heads: Sequence[Head], x: Tensor) -> list[Tensor]:
    """Return the slopes [K, D] of the class scores in what each head reads, for one input."""
    read: dict[str, Tensor] = {}

    class Leaf(nn.Module):
        def __init__(self, inner: nn.Module, head: Head) -> None:
            super().__init__()
            self.inner = inner
            self.head = head

        def forward(self, z: Tensor) -> Tensor:
            read[self.head.name] = z.detach().requires_grad_(True)
            return self.inner(read[self.head.name])

    reading = classifier
    for head in heads:
        reading = exchange(reading, head.name, partial(Leaf, head=head))
    with torch.enable_grad():
        scores = reading(x)[0]
        leaves = [read[head.name] for head in heads]
        each = [torch.autograd.grad(score, leaves, retain_graph=True) for score in scores]
    return [
        torch.cat([head.gradient(slope) for slope in of_head])
        for head, of_head in zip(heads, zip(*each, strict=True), strict=True)
    ]


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
