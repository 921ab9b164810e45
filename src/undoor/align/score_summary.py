"""The scores a threshold was set on, in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from undoor.device import precise

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class ScoreSummary:
    """At least one score, summarised: range, three quantiles, mean and standard deviation."""

    n: int
    min: float
    q05: float
    median: float
    q95: float
    max: float
    mean: float
    std: float

    @staticmethod
    def of(scores: Tensor) -> ScoreSummary | None:
        """Summarise finite scores [n]; None where there are none.

        >>> ScoreSummary.of(torch.tensor([1.0, 2.0, 3.0])).median
        2.0
        """
        if not len(scores):
            return None
        values = precise(scores)
        q05, median, q95 = torch.quantile(
            values, torch.tensor(QUANTILES, device=values.device).double()
        ).tolist()
        std = float(values.std()) if len(values) > 1 else 0.0
        low, high, mean = (float(part) for part in (values.min(), values.max(), values.mean()))
        return ScoreSummary(len(values), low, q05, median, q95, high, mean, std)

    def to_text(self) -> str:
        """Return range, median and number for messages.

        >>> ScoreSummary.of(torch.tensor([1.0, 2.0, 3.0])).to_text()
        '1 to 3 (median 2, 3 inputs)'
        """
        return f"{self.min:.3g} to {self.max:.3g} (median {self.median:.3g}, {self.n:,} inputs)"

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ScoreSummary:
        """Read a summary from JSON: the inverse of `vars`.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is not that, or its numbers are not in order.
        """
        made = ScoreSummary(**{name: data[name] for name in ScoreSummary.__dataclass_fields__})
        numbers = (made.min, made.q05, made.median, made.q95, made.max)
        if made.n < 1 or not all(a <= b for a, b in pairwise(numbers)):
            raise ValueError(f"expected a summary of scores in order, got {made}")
        if not made.min - made.std <= made.mean <= made.max + made.std or made.std < 0:
            raise ValueError(f"expected a mean among the scores, got {made}")
        return made
