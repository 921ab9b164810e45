"""How fast sample passes are on this machine, from a few of them."""

from __future__ import annotations

import time
from typing import Final

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.inversion.chunks import attack

INPUTS: Final = 64
BATCHES: Final = 3


def seconds_per_pass(classifier: Classifier, images: Tensor) -> float:
    """Seconds that one image takes to go forward and backward as in a search.

    Parameters
    ----------
    classifier
        Laid out as for a search (`Classifier.fast_copy`).
    images
        Clean inputs [N, ...].

    Returns
    -------
    float
        The least of a few batches, after one that is not timed. What candidates of triggers are
        made of takes time of its own, more so beside small networks.
    """
    most = classifier.capacity.learning if classifier.capacity else INPUTS
    count = min(INPUTS, most)
    x = images[torch.arange(count, device=images.device) % len(images)][:, None]
    labels = torch.zeros(count, 1, dtype=torch.int64, device=images.device)
    away = torch.zeros(count, dtype=torch.bool, device=images.device)
    taken = [_timed(classifier, x, labels, away) for _ in range(1 + BATCHES)]
    return min(taken[1:]) / count


def _timed(classifier: Classifier, x: Tensor, labels: Tensor, away: Tensor) -> float:
    started = time.perf_counter()
    change = torch.zeros_like(x[:1]).requires_grad_(True)
    entropy, _ = attack(classifier, x + change, labels, away)
    entropy.sum().backward()
    return time.perf_counter() - started
