"""STRIP: a trigger decides alone, whatever else is laid over the input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.vocabulary import SIGNALS
from undoor_bench.test_time.detector import Score, in_batches, own_copy


@dataclass(frozen=True)
class Settings:
    """Settings of STRIP.

    Attributes
    ----------
    overlays
        Clean images laid over every input, at least 1 (the paper's N = 100).
    input_weight, overlay_weight
        Of the two in the sum; 1 and 1 in the authors' experiments.
    """

    overlays: int = 100
    input_weight: float = 1.0
    overlay_weight: float = 1.0


def strip(
    classifier: Classifier,
    clean: CleanSet,
    generator: torch.Generator,
    settings: Settings | None = None,
) -> Score:
    """STRIP of Gao et al. (ACSAC 2019, arXiv 1902.06531).

    Score: the negative mean Shannon entropy, in bits, of the predictions for the input with images
    added to it, in [-log2 K, 0]. Sums are taken above the lowest raw value of images, so that
    black adds nothing whatever the bounds, and around the middle one of signals, which is silence
    (as in STRIP-ViTA, arXiv 1911.10312); they end at the bounds.

    The paper draws other clean images for every input; here they are drawn once, without
    replacement where there are enough, so that the same input gets the same score. An overlay that
    is scored itself meets itself once among the N.

    Raises
    ------
    UndoorError
        The clean set does not fit, or `overlays` is below 1.
    """
    settings = settings or Settings()
    if settings.overlays < 1:
        raise UndoorError(
            f"overlays must be at least 1, got {settings.overlays}; the paper has 100"
        )
    network, fitted = own_copy(classifier, clean)
    overlays = fitted.images[_drawn(len(fitted), settings.overlays, generator)]
    low, high = network.bounds
    nothing = (low + high) / 2 if network.space.name == SIGNALS else low

    def score(x: Tensor) -> Tensor:
        total = torch.zeros(len(x), dtype=torch.float64)
        base = settings.input_weight * (x - nothing)
        for overlay in overlays:
            mixed = base + settings.overlay_weight * (overlay - nothing)
            total += entropy(network((nothing + mixed).clamp(low, high)))
        return -total / len(overlays)

    return in_batches(network, score)


def entropy(logits: Tensor) -> Tensor:
    """Return the Shannon entropy in bits [N] of the softmax of logits [N, K], in [0, log2 K].

    >>> entropy(torch.tensor([[0.0, 0.0], [1000.0, 0.0]]))
    tensor([1., 0.], dtype=torch.float64)
    """
    return torch.special.entr(logits.double().softmax(1)).sum(1) / math.log(2)


def _drawn(n: int, count: int, generator: torch.Generator) -> Tensor:
    """Return indices [count] below n; each comes once before any comes again."""
    rounds = -(-count // n)
    return torch.cat([torch.randperm(n, generator=generator) for _ in range(rounds)])[:count]
