"""The threshold of the guard: what is wanted, and what so few clean inputs can promise."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from undoor.align.guard_threshold import (
    GuardThreshold,
    check_fpr,
    conformal_bound,
    place_threshold,
    prediction_limit,
)
from undoor.errors import UndoorError
from undoor.rate import Rate
from undoor.vocabulary import DEFAULT_FPR

scores_of = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=60)
rates = st.sampled_from([0.001, 0.01, 0.02, 0.05, 0.07, 0.1, 0.29, 0.5, 0.9])


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def allowed(n: int, fpr: float) -> int:
    """How many of n + 1 exchangeable scores may lie above the threshold, without rounding."""
    return math.floor(Fraction(str(fpr)) * (n + 1))


# The conformal bound


@pytest.mark.parametrize("fpr", [0.01, 0.05, 0.07, 0.29, 0.5])
@pytest.mark.parametrize("n", [1, 9, 19, 30, 98, 99, 100, 199])
def test_conformal_bound_is_an_order_statistic(n: int, fpr: float) -> None:
    """The ceil((1 - fpr)(n + 1))-th smallest, also where the product is a whole number."""
    scores = torch.arange(1.0, n + 1)[torch.randperm(n, generator=torch.Generator().manual_seed(n))]
    rank = math.ceil((1 - Fraction(str(fpr))) * (n + 1))
    assert conformal_bound(scores, fpr) == (rank if rank <= n else math.inf)


@given(scores_of, rates)
def test_flags_are_small_conformal_p_values(clean: list[float], fpr: float) -> None:
    """Above the bound lies what has p = (1 + number of scores not below) / (n + 1) <= fpr."""
    bound, n = conformal_bound(numbers(*clean), fpr), len(clean)
    for score in {*clean, -60.0, 60.0}:
        p = Fraction(1 + sum(s >= score for s in clean), n + 1)
        assert (score > bound) == (p <= Fraction(str(fpr)))


def test_keeps_its_promise_on_average() -> None:
    """Over draws of 19 clean scores, a new one is flagged as often as wanted, and no oftener."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(20_000, 20, generator=generator)
    flagged = [row[-1] > conformal_bound(row[:-1], 0.1) for row in draws]
    assert float(torch.stack(flagged).float().mean()) == pytest.approx(0.1, abs=0.007)


# The threshold


@given(scores_of, scores_of, rates)
def test_threshold_is_finite(clean: list[float], hits: list[float], fpr: float) -> None:
    threshold = place_threshold(numbers(*clean), numbers(*hits), fpr)
    assert abs(threshold) < 1e4


@given(scores_of, scores_of, rates)
def test_never_below_what_the_wanted_rate_demands(
    clean: list[float], hits: list[float], fpr: float
) -> None:
    scores = numbers(*clean)
    threshold = place_threshold(scores, numbers(*hits), fpr)
    flagged = int((scores > threshold).sum())
    assert flagged <= max(0, allowed(len(clean), fpr) - 1)
    if math.isfinite(conformal_bound(scores, fpr)):
        assert threshold >= conformal_bound(scores, fpr)


@given(scores_of, scores_of)
def test_beyond_all_where_the_rate_cannot_be_promised(
    clean: list[float], hits: list[float]
) -> None:
    scores = numbers(*clean)
    assert not bool((scores > place_threshold(scores, numbers(*hits), 0.016)).any())


@given(scores_of, st.floats(1, 1e3), rates)
def test_where_the_two_part_all_is_told_apart(clean: list[float], gap: float, fpr: float) -> None:
    scores = numbers(*clean)
    beyond = prediction_limit(scores, fpr) if len(clean) > 1 else 0.0
    tail = max(float(scores.max()), beyond)
    start = tail + gap
    hits = torch.linspace(start, start + 10, 20)
    threshold = place_threshold(scores, hits, fpr)
    assert not bool((scores > threshold).any())
    assert bool((hits > threshold).all())
    # Nearer to the clean scores: true triggers differ from recovered ones.
    assert threshold - tail < float(hits.median()) - threshold


def test_where_they_overlap_the_clean_decide() -> None:
    clean, hits = torch.arange(100.0), numbers(-5, 3, 10)
    for fpr, expected in ((0.05, 95), (0.01, 99), (0.5, 50)):
        assert place_threshold(clean, hits, fpr) == expected
    # A hundred scores cannot promise this: as far out as normal scores would lie.
    assert place_threshold(clean, hits, 0.001) == prediction_limit(clean, 0.001) > 99
    assert place_threshold(clean, hits) == place_threshold(clean, hits, DEFAULT_FPR)
    # While half of the triggered lie beyond the tail of the clean, none of these is flagged.
    assert 99 <= place_threshold(clean, numbers(0, 200, 300), 0.05) < 200


def test_a_higher_rate_never_raises_the_threshold() -> None:
    generator = torch.Generator().manual_seed(1)
    clean = torch.randn(60, generator=generator)
    hits = torch.randn(40, generator=generator) + 1
    thresholds = [place_threshold(clean, hits, fpr) for fpr in (0.001, 0.01, 0.05, 0.2, 0.5)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[-1] < thresholds[0]


def test_no_scores() -> None:
    assert place_threshold(numbers(), numbers(1, 2), 0.01) == 0
    assert place_threshold(numbers(), numbers(), 0.01) == 0
    assert place_threshold(numbers(1, 2), numbers(), 0.01) >= 2
    # One score has no spread: an input that keeps three quarters of its margin is not flagged.
    assert place_threshold(numbers(-3), numbers(), 0.01) == 0


# What is recorded


def test_calibration_by_hand() -> None:
    """Of 99 scores one may be above at 2 %: the two highest are equally likely to be exceeded."""
    clean = torch.arange(99.0)
    made = GuardThreshold.of(clean, numbers(0, 0), 0.02)
    assert (made.threshold, made.wanted, made.n) == (97, 0.02, 99)
    assert made.flagged == Rate.of(clean > 97)
    assert made.flagged.value == pytest.approx(1 / 99)
    assert made.resolution == pytest.approx(0.01)
    assert made.attainable


def test_upper_limit_holds_given_the_scores() -> None:
    """The rate above an order statistic is a beta variable; its 97.5 % point is the upper limit."""
    n, fpr = 199, 0.05
    made = GuardThreshold.of(torch.arange(float(n)), numbers(0), fpr)
    rank = n + 1 - allowed(n, fpr)
    assert made.flagged.high == pytest.approx(stats.beta.ppf(0.975, n + 1 - rank, rank), abs=1e-8)
    rng = np.random.default_rng(0)
    clean = torch.from_numpy(rng.random((2000, n)))
    # Of uniform scores, the share above a threshold is one less the threshold.
    true = 1 - np.array([conformal_bound(row, fpr) for row in clean])
    assert (true <= made.flagged.high).mean() == pytest.approx(0.975, abs=0.012)


@pytest.mark.parametrize(("n", "fpr"), [(30, 0.01), (1, 0.05), (98, 0.01), (500, 0.0001)])
def test_too_few_scores_for_the_wanted_rate(n: int, fpr: float) -> None:
    made = GuardThreshold.of(torch.linspace(0, 1, n), numbers(0.5), fpr)
    assert not made.attainable
    assert made.flagged.value == 0
    assert made.resolution == pytest.approx(1 / (n + 1))


@pytest.mark.parametrize("fpr", [0.01, 0.05, 0.1, 0.07, 0.29])
def test_as_many_images_as_it_asks_for_are_enough(fpr: float) -> None:
    needed = math.ceil(1 / Fraction(str(fpr))) - 1
    scores = torch.arange(1.0, needed + 1)
    assert GuardThreshold.of(scores, numbers(), fpr).attainable
    short = GuardThreshold.of(scores[:-1], numbers(), fpr)
    assert not short.attainable
    assert short.needed == needed


def test_nothing_to_calibrate_on() -> None:
    made = GuardThreshold.of(numbers(), numbers(3, 4), 0.05)
    assert made.threshold == 0
    assert made.flagged == Rate(None, None, None, 0)
    assert made.resolution == 1


@pytest.mark.parametrize("fpr", [0.0, 1.0, -0.1, 5.0, math.nan, math.inf])
def test_refuses_what_is_no_share(fpr: float) -> None:
    with pytest.raises(UndoorError, match=r"fpr.*above 0 and below 1"):
        check_fpr(fpr)
    with pytest.raises(UndoorError, match=r"fpr.*above 0 and below 1"):
        GuardThreshold.of(numbers(1), numbers(2), fpr)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_refuses_scores_that_are_no_numbers(bad: float) -> None:
    """A threshold of NaN would flag nothing, in silence."""
    with pytest.raises(UndoorError, match=r"finite.*got"):
        GuardThreshold.of(numbers(0, bad), numbers(2), 0.05)


@given(scores_of, scores_of, rates)
def test_round_trip(clean: list[float], hits: list[float], fpr: float) -> None:
    made = GuardThreshold.of(numbers(*clean), numbers(*hits), fpr)
    assert GuardThreshold.from_json(made.threshold, made.to_json()) == made


def test_json() -> None:
    made = GuardThreshold(1.5, 0.01, Rate(0.25, 0.1, 0.5, 4))
    assert made.to_json() == {
        "wanted_fpr": 0.01,
        "n": 4,
        "flagged": 0.25,
        "flagged_interval": [0.1, 0.5],
    }
    empty = GuardThreshold(0.0, 0.01, Rate(None, None, None, 0))
    assert empty.to_json()["flagged_interval"] is None
    assert GuardThreshold.from_json(0.0, empty.to_json()) == empty
    for key in ("wanted_fpr", "n", "flagged", "flagged_interval"):
        broken = {name: value for name, value in made.to_json().items() if name != key}
        with pytest.raises(KeyError):
            GuardThreshold.from_json(1.5, broken)


@pytest.mark.parametrize("threshold", [None, "high", math.nan, math.inf])
def test_threshold_must_be_a_number(threshold: object) -> None:
    """A repair that somebody edited must not switch the guard off."""
    made = GuardThreshold(1.5, 0.01, Rate(0.25, 0.1, 0.5, 4))
    with pytest.raises((TypeError, ValueError)):
        GuardThreshold.from_json(threshold, made.to_json())


def test_the_limit_of_few_normal_scores_is_passed_as_often_as_wanted() -> None:
    generator = torch.Generator().manual_seed(0)
    for n in (5, 9, 30):
        draws = 3 + 2 * torch.randn(4000, n + 1, generator=generator)
        passed = [float(row[n]) > prediction_limit(row[:n], 0.05) for row in draws]
        assert 0.035 < sum(passed) / len(passed) < 0.065
