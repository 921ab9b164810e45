"""A measured fraction and its interval."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from undoor.rate import Rate


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_clopper_pearson(hits: list[bool]) -> None:
    """Against the quantiles of the beta distribution."""
    rate = Rate.of(torch.tensor(hits))
    n, k = len(hits), sum(hits)
    low = 0.0 if k == 0 else stats.beta.ppf(0.025, k, n - k + 1)
    high = 1.0 if k == n else stats.beta.ppf(0.975, k + 1, n - k)
    assert rate.value == pytest.approx(k / n)
    assert rate.low == pytest.approx(low, abs=1e-8)
    assert rate.high == pytest.approx(high, abs=1e-8)
    assert rate.n == n


def test_rate_of_nothing() -> None:
    assert Rate.of(torch.tensor([], dtype=torch.bool)) == Rate(None, None, None, 0)
