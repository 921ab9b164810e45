"""A measured fraction and what it says of the true one."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats
from torch import Tensor

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """A measured fraction of `n` cases with its 95 % interval; all None where `n` is 0."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @staticmethod
    def of(hits: Tensor) -> Rate:
        """The share of true values in a boolean tensor, interval by Clopper and Pearson.

        >>> import torch
        >>> Rate.of(torch.tensor([True, True, False, True]))
        Rate(value=0.75, low=0.194..., high=0.993..., n=4)
        """
        n, k = len(hits), int(hits.sum())
        if n == 0:
            return Rate(None, None, None, 0)
        interval = stats.binomtest(k, n).proportion_ci(CONFIDENCE, method="exact")
        return Rate(k / n, float(interval.low), float(interval.high), n)
