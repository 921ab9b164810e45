"""How fast sample passes are on this machine, from a few of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.inversion.chunks import attack

INPUTS: Final = 64
BATCHES: Final = 3


@dataclass(frozen=True)
class MeasuredSpeed:
    """How fast sample passes went.

    Attributes
    ----------
    passes
        How many were timed.
    seconds
        What these took.
    """

    passes: int
    seconds: float

    @property
    def seconds_per_pass(self) -> float:
        """Seconds per sample pass."""
        return self.seconds / self.passes


def measured_speed(classifier: Classifier, images: Tensor) -> MeasuredSpeed:
    """Measure how fast images go forward and backward as in a search, on this machine now.

    Parameters
    ----------
    classifier
        Laid out as for a search (`Classifier.fast_copy`).
    images
        Clean inputs [N, ...].

    Returns
    -------
    MeasuredSpeed
        Over a few batches, after one that is not timed. Computing the triggers takes further time,
        a larger share of it beside small networks.
    """
    limit = classifier.capacity.learning if classifier.capacity else INPUTS
    count = min(INPUTS, limit)
    x = images[torch.arange(count, device=images.device) % len(images)][:, None]
    labels = torch.zeros(count, 1, dtype=torch.int64, device=images.device)
    away = torch.zeros(count, dtype=torch.bool, device=images.device)
    taken = [_timed(classifier, x, labels, away) for _ in range(1 + BATCHES)]
    return MeasuredSpeed(BATCHES * count, sum(taken[1:]))


def _timed(classifier: Classifier, x: Tensor, labels: Tensor, away: Tensor) -> float:
    started = time.perf_counter()
    change = torch.zeros_like(x[:1]).requires_grad_(True)
    entropy, _ = attack(classifier, x + change, labels, away)
    entropy.sum().backward()
    return time.perf_counter() - started
