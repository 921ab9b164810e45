"""Soft histograms and the divergences between them (the paper, Eq. 3 to 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Divergence = Literal["tv", "js", "kl"]
BIN_WIDTH = 0.1
SLOPE = 150.0
TINY = 1e-8


def soft_histogram(values: Tensor, low: Tensor, bins: int) -> Tensor:
    """Return the share of each unit's values in each bin, differentiable in the values.

    The indicator of a bin is the difference of two sigmoids of slope 150 at its edges. A sigmoid
    that steep is 0 or 1 but at the edge next to the value, so only the two edges around each
    value are evaluated: what the sum over all edges gives, to 1e-3, without its memory.

    Parameters
    ----------
    values
        [units, n].
    low
        [units], left edge of the first bin.
    bins
        Their number; they are 0.1 wide, values beyond them count in the first or the last.

    Returns
    -------
    Tensor
        [units, bins], each row summing to 1.

    Examples
    --------
    >>> values = torch.tensor([[0.05, 0.15, 0.16, 0.25]])
    >>> soft_histogram(values, torch.zeros(1), 3).round(decimals=2)
    tensor([[0.2500, 0.5000, 0.2500]])
    """
    place = (values - low[:, None]) / BIN_WIDTH
    index = place.detach().floor().clamp(0, bins - 1)
    inside = place - index
    steep = SLOPE * BIN_WIDTH
    right = torch.sigmoid(steep * (inside - 1)) * (index < bins - 1)
    left = torch.sigmoid(-steep * inside) * (index > 0)
    histogram = values.new_zeros(len(values), bins)
    at = index.long()
    histogram = histogram.scatter_add(1, at, 1 - left - right)
    histogram = histogram.scatter_add(1, (at + 1).clamp_max(bins - 1), right)
    histogram = histogram.scatter_add(1, (at - 1).clamp_min(0), left)
    return histogram / values.shape[1]


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """Return half the l1 distance of histograms [..., bins], between 0 and 1."""
    return (p - q).abs().sum(-1) / 2


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence of histograms [..., bins] in nats, at most log 2."""
    middle = (p + q) / 2
    return (kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2


def kullback_leibler(p: Tensor, q: Tensor) -> Tensor:
    """Return KL(p || q) of histograms [..., bins] in nats; empty bins count as 1e-8."""
    return (p * ((p + TINY) / (q + TINY)).log()).sum(-1)


DIVERGENCES: dict[Divergence, Callable[[Tensor, Tensor], Tensor]] = {
    "tv": total_variation,
    "js": jensen_shannon,
    "kl": kullback_leibler,
}
