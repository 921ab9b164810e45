"""The families' p-values of a class as one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undoor.families.calibration import calibration_for
from undoor.families.null import Agreement, Lowest, Null
from undoor.families.registry import nulls
from undoor.scan.combination import (
    ABOVE,
    agreement,
    agreement_p_values,
    alone,
    as_lowest,
    combination_of,
    combined,
    for_classes,
    interval,
    overall,
)
from undoor.scan.statistics import NULL_CLASSES

LEARNED = calibration_for(NULL_CLASSES)
AGREED, LOWEST = LEARNED.agreement, LEARNED.lowest
# Of independent families: as low as chance says.
CHANCE = Lowest(threshold=-math.log(ABOVE), excess=1.0, models=1000)


def test_combined() -> None:
    """One family among many must say much; several that agree say more than one."""
    quiet = np.array([0.6])
    alone = combined({"a": np.array([0.001]), **dict.fromkeys("bcdefgh", quiet)})[0]
    both = combined(
        {"a": np.array([0.001]), "b": np.array([0.001]), **dict.fromkeys("cdefgh", quiet)}
    )
    assert alone == pytest.approx(0.008, rel=0.01)
    assert both[0] == pytest.approx(0.004, rel=0.01)


def test_families_that_agree() -> None:
    """Several small objections to one class are rarer by chance than one that is loud."""
    null = Agreement(location=2.0, scale=1.0)
    weights = dict.fromkeys("abcdefgh", 0.5)
    agreed = {family: np.array([0.03, 0.5]) for family in weights}
    p = agreement_p_values(agreement(agreed, weights), null)
    assert p[0] < 1e-3
    assert p[1] > 0.02
    assert combined(agreed, weights)[0] > 0.02
    loud = {family: np.array([1e-12 if family == "a" else 0.9]) for family in weights}
    assert agreement(loud, weights)[0] < 0.5 * 7 + 0.5
    nulls_of = dict.fromkeys("abcdefgh", Null(1.0, 2.0, 0.0, 1.0, weight=0.5))
    assert overall(agreed, nulls_of, null, CHANCE)[0] < 0.02 < combined(agreed, weights)[0]
    assert overall(loud, nulls_of, null, CHANCE)[0] < 1e-3


@pytest.mark.parametrize("classes", [2, 3, 5, 10, 43, 172])
def test_clean_models_are_called_backdoored_as_often_as_asked_for(classes: int) -> None:
    """Exact independent nulls of all families, at any number of classes, at level 0.02."""
    null_of, generator, trials = nulls(LEARNED), np.random.default_rng(2), 2000
    lowest = generator.exponential(size=(len(null_of), trials, classes))
    p = {family: -np.expm1(-classes * e) for family, e in zip(null_of, lowest, strict=True)}
    alarms = 0
    for trial in range(trials):
        each = {family: q[trial] for family, q in p.items()}
        alarms += bool(overall(each, null_of, AGREED, CHANCE).min() <= 0.02)
    assert alarms / trials == pytest.approx(0.018, abs=0.007)


def test_ten_classes_need_no_correction() -> None:
    p = {"patch": np.linspace(0.001, 0.2, 10), "warp": np.full(10, 0.2)}
    weights = {family: nulls(LEARNED)[family].weight for family in p}
    null = AGREED
    together = agreement_p_values(agreement(p, weights), null)
    expected = combined({**p, "agreement": together}, {**weights, "agreement": null.weight})
    assert combination_of(p, nulls(LEARNED), null) == pytest.approx(expected)


@given(st.floats(0, 1), st.integers(1, 1000))
def test_the_correction_for_classes_has_an_inverse(p: float, classes: int) -> None:
    there = for_classes(np.array([p]), classes)
    assert 0 <= there[0] <= 1
    assert 0 <= for_classes(there, NULL_CLASSES, of=classes)[0] <= 1
    if p * classes < 5:
        assert for_classes(there, NULL_CLASSES, of=classes)[0] == pytest.approx(p, rel=1e-6)


def test_weights() -> None:
    """One that weighs three times as much says three times as much."""
    p = {"a": np.array([0.001, 0.6]), "b": np.array([0.6, 0.001])}
    one, other = combined(p, {"a": 3.0, "b": 1.0})
    assert one == pytest.approx(0.001 * 4 / 3, rel=0.01)
    assert other == pytest.approx(0.001 * 4, rel=0.01)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_quiet_families_cannot_outvote_a_loud_one(others: list[float]) -> None:
    p = {str(i): np.array([value]) for i, value in enumerate(others)}
    assert combined({"loud": np.array([1e-9]), **p})[0] <= 1e-9 * (len(others) + 1) * 1.01


def test_families_without_a_backdoor_rarely_object() -> None:
    """Independent uniform p-values of nine families: about as many alarms as asked for."""
    generator = np.random.default_rng(1)
    p = {str(i): generator.random(20_000) for i in range(9)}
    assert (combined(p) <= 0.02).mean() == pytest.approx(0.02, abs=0.004)


@pytest.mark.parametrize("family", ["patch", "patch margin", "warp"])
@pytest.mark.parametrize("classes", [2, 10, 43])
def test_what_one_family_alone_needs(family: str, classes: int) -> None:
    """With that p-value, and no evidence from any other, the class has about the level asked for;
    families without evidence count as 0.5, which adds to it."""
    known = nulls(LEARNED)
    quiet = {name: np.full(classes, 0.9999) for name in known}
    quiet[family][0] = alone(0.02, family, known, AGREED, LOWEST, classes)
    assert overall(quiet, known, AGREED, LOWEST)[0] == pytest.approx(0.02, rel=0.25)


def test_the_lowest_combination_is_one_distribution() -> None:
    """From 1 down to 0 without a step at the threshold, in order."""
    p = as_lowest(np.exp(-np.linspace(0, 40, 4001)), LOWEST)
    assert p[0] == 1
    assert p[-1] < 1e-6
    assert (np.diff(p) < 0).all()
    assert np.abs(np.diff(p)).max() < 0.02


def test_few_models_make_wide_intervals() -> None:
    """At one over the root of the models; what is rarer is known less well."""
    p = np.array([0.02, 1e-6, 0.2, 1.0])
    few, many = (interval(p, replace(LOWEST, models=models)) for models in (30, 3000))
    for found in (few, many):
        assert (found[:, 0] <= p + 1e-12).all()
        assert (found[:3, 1] >= p[:3]).all()
    width = np.log(few[:, 1] / few[:, 0])
    assert width[1] > 2 * width[0]
    assert width[0] == pytest.approx(10 * np.log(many[0, 1] / many[0, 0]), rel=0.05)


def test_intervals_hold_the_true_value_nine_times_in_ten() -> None:
    """Exponential depths of 60 models, whose distribution is fitted as it is for the scan."""
    generator, held = np.random.default_rng(3), []
    truth = math.exp(-5.0)
    for _ in range(300):
        depths = generator.exponential(size=60)
        threshold = float(np.quantile(depths, 1 - ABOVE))
        beyond = depths[depths > threshold] - threshold
        fitted = Lowest(threshold, float(beyond.mean()), 60)
        p = np.append(as_lowest(np.array([truth]), fitted), np.ones(NULL_CLASSES - 1))
        low, high = interval(p, fitted)[0]
        held.append(low <= truth <= high)
    assert np.mean(held) == pytest.approx(0.9, abs=0.06)
