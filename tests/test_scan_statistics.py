"""MAD scores and order-statistic p-values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from undoor.scan.statistics import (
    LEAST_LOG_SPREAD,
    mad_scores,
    order_statistic_p_values,
    reciprocal,
)

sizes_of = st.lists(st.floats(0.5, 200), min_size=4, max_size=12)


def test_reciprocal() -> None:
    assert reciprocal([4.0, None, 0.5]).tolist() == [0.25, 0, 2]
    assert bool(np.isfinite(reciprocal([0.0, None])).all())


@given(sizes_of)
def test_mad_scores_against_scipy(sizes: list[float]) -> None:
    statistic = reciprocal(list(sizes))
    spread = stats.median_abs_deviation(statistic, scale="normal")
    assume(spread > 1e-9)
    expected = (statistic - np.median(statistic)) / spread
    np.testing.assert_allclose(mad_scores(statistic), expected, rtol=1e-3)


def test_mad_scores_estimate_standard_deviations() -> None:
    # Far from zero: a statistic is never negative.
    draws = 50 + 3 * np.random.default_rng(0).standard_normal(100_001)
    np.testing.assert_allclose(mad_scores(draws), (draws - 50) / 3, atol=0.06)


def test_equal_classes_have_no_outlier() -> None:
    assert mad_scores(np.full(5, 0.2)).tolist() == [0] * 5
    assert bool((order_statistic_p_values(np.full(5, 0.2)) > 0.9).all())


def by_formula(statistic: np.ndarray, index: int) -> float:
    """1 - F(z)^K, F the t distribution around the others' median."""
    others = np.log(np.delete(statistic, index))
    spread = max(stats.median_abs_deviation(others, scale="normal"), LEAST_LOG_SPREAD)
    z = (np.log(statistic[index]) - np.median(others)) / spread
    return float(1 - stats.t(len(others) - 1).cdf(z) ** len(statistic))


@given(sizes_of)
def test_p_values_against_the_formula(sizes: list[float]) -> None:
    statistic = reciprocal(list(sizes))
    expected = [by_formula(statistic, index) for index in range(len(sizes))]
    np.testing.assert_allclose(order_statistic_p_values(statistic), expected, atol=2e-4)


@given(sizes_of)
def test_p_values_are_probabilities_and_fall_with_the_statistic(sizes: list[float]) -> None:
    statistic = reciprocal(list(sizes))
    p = order_statistic_p_values(statistic)
    assert bool(((p >= 0) & (p <= 1)).all())
    assert p[statistic.argmax()] == p.min()


def test_tiny_p_values_are_not_rounded_away() -> None:
    p = order_statistic_p_values(np.array([*np.linspace(0.03, 0.033, 40), 1e9]))
    assert 0 < p[-1] < 1e-40


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_classes_have_no_null(count: int) -> None:
    statistic = np.array([0.001, 1000.0, 0.001])[:count]
    assert order_statistic_p_values(statistic).tolist() == [1.0] * count


@given(
    sizes=st.lists(st.one_of(st.none(), st.floats(0.5, 200)), min_size=5, max_size=10),
    factor=st.sampled_from([1 / 64, 1 / 4, 4, 64]),
)
def test_units_of_size_do_not_matter(sizes: list[float | None], factor: float) -> None:
    """Also where some classes have no working trigger."""
    scaled = [None if size is None else size * factor for size in sizes]
    one, two = reciprocal(sizes), reciprocal(scaled)
    np.testing.assert_allclose(
        order_statistic_p_values(one), order_statistic_p_values(two), atol=1e-9
    )
    np.testing.assert_allclose(mad_scores(one), mad_scores(two), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("classes", [10, 43])
def test_false_alarms_come_as_often_as_the_p_value_says(classes: int) -> None:
    """The smallest p-value of a model without a backdoor is below 0.1 about one time in ten."""
    rng = np.random.default_rng(0)
    least = [
        order_statistic_p_values(np.exp(-3 + 0.3 * rng.standard_normal(classes))).min()
        for _ in range(200)
    ]
    assert 0.03 <= np.mean(np.array(least) <= 0.1) <= 0.25


def test_backdoors_do_not_hide_one_another() -> None:
    """Each class is judged by the others; two targets of ten leave eight to compare with."""
    sizes = [18.0, 20, 22, 19, 21, 20.5, 19.5, 18.5, 1.5, 1.6]
    p = order_statistic_p_values(reciprocal(list(sizes)))
    assert (p < 0.01).nonzero()[0].tolist() == [8, 9]
    assert bool((p[:8] > 0.5).all())
