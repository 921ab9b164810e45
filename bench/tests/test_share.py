"""Shares and their intervals."""

from __future__ import annotations

import pytest
from scipy import stats

from undoor_bench.share import Share


def test_text() -> None:
    assert Share(0, 0).text() == "–"
    assert Share(0, 10).text() == "0/10 (0 to 31 %)"


@pytest.mark.parametrize("hits", [0, 3, 10])
def test_the_interval_is_that_of_clopper_and_pearson(hits: int) -> None:
    low, high = Share(hits, 10).interval
    assert low == pytest.approx(stats.beta.ppf(0.025, hits, 11 - hits) if hits else 0)
    assert high == pytest.approx(stats.beta.ppf(0.975, hits + 1, 10 - hits) if hits < 10 else 1)
    assert low <= Share(hits, 10).rate <= high
