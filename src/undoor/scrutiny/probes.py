"""Inputs that are likely to throw a hidden switch: clean ones with small saturated patches, and
noise of black and white."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.classifier import Classifier

_COUNT = 8


def probes(classifier: Classifier, x: Tensor) -> Tensor:
    """Return of clean inputs x [N, ...] some that are changed as their space says [M, ...]."""
    rows = torch.arange(_COUNT, device=x.device) % len(x)
    return classifier.space.odd(x[rows], classifier.bounds)


def saturated(noise: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Return each value at the end of the range that it is nearer to.

    Small patterns of any kind are in some of that sooner than in noise of every grey.

    >>> saturated(torch.tensor([0.2, 0.9]), (0.0, 1.0))
    tensor([0., 1.])
    """
    low, high = bounds
    return torch.where(noise > (low + high) / 2, high, low)
