"""A measured fraction and its confidence interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scipy import stats

if TYPE_CHECKING:
    from torch import Tensor

CONFIDENCE = 0.95


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """Return the exact 95 % confidence interval of a share, given `hits` in `n` > 0 cases."""
    low, high = stats.binomtest(hits, n).proportion_ci(CONFIDENCE, method="exact")
    return float(low), float(high)


@dataclass(frozen=True)
class Rate:
    """A measured fraction of `n` cases with its 95 % interval; all None where `n` is 0."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @staticmethod
    def of(hits: Tensor) -> Rate:
        """Return the share of true values in a boolean tensor, with its Clopper-Pearson interval.

        >>> import torch
        >>> Rate.of(torch.tensor([True, True, False, True]))
        Rate(value=0.75, low=0.194..., high=0.993..., n=4)
        """
        n, k = len(hits), int(hits.sum())
        if n == 0:
            return Rate(None, None, None, 0)
        return Rate(k / n, *clopper_pearson(k, n), n)


def rates_to_json(rates: Mapping[str, Rate]) -> dict[str, Any]:
    """Return each rate under its name, and its interval under ``<name>_interval``.

    >>> rates_to_json({"acc": Rate(0.5, 0.25, 0.75, 8), "asr": Rate(None, None, None, 0)})
    {'acc': 0.5, 'acc_interval': [0.25, 0.75], 'asr': None, 'asr_interval': None}
    """
    out: dict[str, Any] = {}
    for name, rate in rates.items():
        out[name] = rate.value
        out[f"{name}_interval"] = None if rate.low is None else [rate.low, rate.high]
    return out
