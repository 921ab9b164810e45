"""What the network itself takes for a class, and a network that may not be moved that way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.sites import exchange, head

BATCH = 256


@dataclass(frozen=True, eq=False)
class OwnDirections:
    """The features that the last layer reads, and where those of each class lie.

    Any class can be reached by making an input look like it. A backdoor does not: its inputs
    reach the target by a way of their own. So where a trigger may not use the direction in which
    the target's own images lie, natural triggers get large or fail, and a backdoor's hardly change
    (the idea of class subspace orthogonalisation, arXiv 2512.08129, as a projection instead of a
    penalty).

    head : name of the last layer. features : [N, D], of clean images. directions : [K, D], unit
    vectors from the mean of the classes' means to that of each class.
    """

    head: str
    features: Tensor
    directions: Tensor

    @classmethod
    def of(cls, classifier: Classifier, x: Tensor, y: Tensor) -> Self | None:
        """From clean images x [N, ...] with labels y [N]; None where the network does not end in a
        linear layer or a class has no image."""
        name = head(classifier)
        if name is None or len(y.unique()) < classifier.num_classes:
            return None
        features = _inputs(classifier, name, x)
        means = torch.stack([features[y == k].mean(0) for k in range(classifier.num_classes)])
        return cls(name, features, F.normalize(means - means.mean(0), dim=1))


class Barred(nn.Module):
    """A last layer whose input has lost what moved it towards a direction."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.clean: Tensor | None = None
        self.direction: Tensor | None = None

    def bar(self, clean: Tensor, direction: Tensor) -> None:
        """For the next batch: its features without trigger and the barred directions [N, D]."""
        self.clean, self.direction = clean, direction

    def forward(self, z: Tensor) -> Tensor:
        assert self.clean is not None
        assert self.direction is not None
        towards = ((z.float() - self.clean) * self.direction).sum(1, keepdim=True).clamp_min(0)
        return self.inner((z.float() - towards * self.direction).to(z.dtype))


def barred(classifier: Classifier, name: str) -> tuple[Classifier, Barred]:
    """A copy of `classifier` with its last layer barred, and that layer."""
    layers: list[Barred] = []

    def wrap(inner: nn.Module) -> nn.Module:
        layers.append(Barred(inner))
        return layers[0]

    return exchange(classifier, name, wrap), layers[0]


@torch.no_grad()
def _inputs(classifier: Classifier, name: str, x: Tensor) -> Tensor:
    """What the module reads [N, D] when the classifier answers x."""
    seen: list[Tensor] = []

    class Reader(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, z: Tensor) -> Tensor:
            seen.append(z.float())
            return self.inner(z)

    reading = exchange(classifier, name, Reader)
    for batch in classifier.batches(x, BATCH):
        reading(batch)
    return torch.cat(seen)
