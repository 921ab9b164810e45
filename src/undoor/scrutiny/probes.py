"""Inputs that are likely to activate a hidden switch.

They are clean inputs with small saturated patches, and noise of black and white.
"""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.classifier import Classifier

_COUNT = 8


def probes(classifier: Classifier, x: Tensor) -> Tensor:
    """Return some of the clean inputs x [N, ...] with changes that depend on their space."""
    rows = torch.arange(_COUNT, device=x.device) % len(x)
    return classifier.space.odd(x[rows], classifier.bounds)


def saturated(noise: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Return noise with each value moved to the nearer end of the range.

    Such noise is more likely to contain a given small pattern than noise of all greys.

    >>> saturated(torch.tensor([0.2, 0.9]), (0.0, 1.0))
    tensor([0., 1.])
    """
    low, high = bounds
    return torch.where(noise > (low + high) / 2, high, low)
