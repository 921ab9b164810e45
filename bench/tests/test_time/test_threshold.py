"""Thresholds at a wanted false-positive rate."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from undoor.errors import UndoorError
from undoor_bench.test_time.threshold import threshold_at


@given(st.integers(1, 200), st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_new_score_lies_above_as_seldom_as_wanted(n: int, fpr: float, seed: int) -> None:
    """The rank of a new score among n + 1 is uniform: it lies above the k-th with
    1 - k / (n + 1), which is at most the rate, and within a step of it."""
    scores = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    if n < (1 - fpr) / fpr - 1e-6:
        with pytest.raises(UndoorError, match="scores of at least"):
            threshold_at(scores, fpr)
    elif n > (1 - fpr) / fpr + 1e-6:
        above = int((scores > threshold_at(scores, fpr)).sum())
        chance = (above + 1) / (n + 1)
        assert fpr - 1 / (n + 1) - 1e-6 <= chance <= fpr + 1e-6


def test_the_rate_holds_on_average() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(2000, 60, generator=generator)
    flagged = [float((row[39:] > threshold_at(row[:39], 0.1)).double().mean()) for row in draws]
    assert sum(flagged) / len(flagged) == pytest.approx(0.1, abs=0.005)


def test_equal_scores_are_not_flagged() -> None:
    scores = torch.ones(100)
    assert not bool((scores > threshold_at(scores, 0.05)).any())


def test_just_enough_images() -> None:
    assert threshold_at(torch.arange(19.0), 0.05) == 18
    with pytest.raises(
        UndoorError, match=r"0\.05 needs the scores of at least 19 clean images, got 18"
    ):
        threshold_at(torch.arange(18.0), 0.05)


@pytest.mark.parametrize("fpr", [0.0, 1.0, -0.1, math.nan])
def test_no_rate(fpr: float) -> None:
    with pytest.raises(UndoorError, match="between 0 and 1"):
        threshold_at(torch.arange(100.0), fpr)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_no_numbers(bad: float) -> None:
    with pytest.raises(UndoorError, match="finite"):
        threshold_at(torch.tensor([1.0, bad, 3.0]), 0.5)
