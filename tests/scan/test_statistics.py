"""How much smaller a trigger is, and how rare that is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.family_names import BY_SOURCE, INPUT_FAMILIES, LATENT_FAMILIES, SHARED
from undoor.families.calibration import Agreement, Null, agreement_null, calibrated_on
from undoor.families.registry import nulls
from undoor.scan.statistics import (
    NULL_CLASSES,
    agreement,
    agreement_p_values,
    combined,
    crowded,
    for_classes,
    needed_size,
    overall,
    p_values,
    score_beside,
    scores,
    without_scale,
)

NULL = Null(natural=4.0, ceiling=16.0, location=0.2, scale=0.25)
NATURAL: list[float | None] = [8.0, 9.0, 7.0, 10.0, 8.5, 9.5, 11.0, 7.5, 8.2]
size = st.one_of(st.none(), st.floats(0.01, 100))


def test_the_smallest_class_stands_out() -> None:
    """By hand: the lower quartile of the others is 8, and 1 is 4 times below natural."""
    score = scores([1.0, *NATURAL], NULL)
    assert score[0] == pytest.approx(8.0 * 4**0.3, rel=0.01)
    assert score[1:].max() < 1.2


def test_natural_sizes_do_not_count_against_large_triggers() -> None:
    assert scores([6.0, *NATURAL], NULL)[0] == pytest.approx(8 / 6, rel=0.01)


@given(st.lists(size, min_size=2, max_size=20))
def test_scores_are_finite_and_fall_with_the_size(sizes: list[float | None]) -> None:
    score = scores(sizes, NULL)
    assert np.isfinite(score).all()
    assert (score > 0).all()
    smaller = scores([0.005, *sizes[1:]], NULL)
    assert smaller[0] >= score[0]


@given(st.integers(1, 9), st.floats(0.5, 3))
def test_lone_reachable_class_stands_out(unreached: int, planted: float) -> None:
    """The plainest backdoor there is, whatever the number of classes that nothing reaches."""
    sizes: list[float | None] = [planted * 0.3, *NATURAL[: 9 - unreached], *[None] * unreached]
    assert p_values(scores(sizes, NULL), NULL, 10)[0] < 0.01


def test_unreached_classes_make_no_outlier_of_the_others() -> None:
    """That a network resists most triggers of a family is no evidence against the rest."""
    p = p_values(scores([7.0, 8.0, *[None] * 8], NULL), NULL)
    assert p.min() > 0.05


def test_more_classes_make_a_small_one_likelier() -> None:
    """Classes that had their chance, whether or not all scores are given."""
    score = np.array([3.0])
    few, many = (p_values(score, NULL, count)[0] for count in (10, 40))
    assert few < many < 4.1 * few
    assert p_values(score, NULL)[0] == p_values(score, NULL, NULL_CLASSES)[0] == few


@pytest.mark.parametrize("classes", [3, 40])
def test_p_values_are_those_of_the_highest_of_so_many(classes: int) -> None:
    """The highest of 40 such log scores is that of four times the usual ten."""
    generator = np.random.default_rng(2)
    location = NULL.location + NULL.scale * math.log(classes / NULL_CLASSES)
    highest = np.exp(generator.gumbel(location, NULL.scale, 4000))
    p = p_values(highest, NULL, classes)
    for alpha in (0.01, 0.5):
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=3 * math.sqrt(alpha / 4000))


def test_a_lone_trigger_beside_those_of_another_family() -> None:
    """Like one more class of that family, but for what is natural of its own."""
    others = [8.0, 9.0, 7.5, None, 8.2]
    for value in (1.0, 6.0, None):
        together = scores([value, *others], NULL)[0]
        assert score_beside(value, others, NULL, NULL) == pytest.approx(together)
    larger = Null(natural=40.0, ceiling=160.0, location=0.0, scale=0.3)
    grown = score_beside(1.0, others, larger, NULL) / score_beside(1.0, others, NULL, NULL)
    assert grown == pytest.approx(10**0.3)
    # What was not reached is as large as anything of its own family, not of the other.
    assert score_beside(None, others, larger, NULL) < score_beside(None, others, NULL, NULL) / 9


def test_p_values_are_those_of_the_highest_of_ten() -> None:
    """Ten draws whose highest log score has the null's distribution: uniform p-values."""
    generator = np.random.default_rng(0)
    highest = np.exp(generator.gumbel(NULL.location, NULL.scale, 4000))
    p = np.array([p_values(np.full(10, value), NULL)[0] for value in highest])
    for alpha in (0.01, 0.05, 0.5):
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=3 * math.sqrt(alpha / 4000))


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
    assert overall(agreed, nulls_of, null)[0] < 0.02 < combined(agreed, weights)[0]
    assert overall(loud, nulls_of, null)[0] < 1e-3


@pytest.mark.parametrize("classes", [2, 3, 5, 10, 43, 172])
def test_clean_models_are_called_backdoored_as_often_as_asked_for(classes: int) -> None:
    """Exact independent nulls of all families, at any number of classes, at level 0.02."""
    null_of, generator, trials = nulls(), np.random.default_rng(2), 2000
    lowest = generator.exponential(size=(len(null_of), trials, classes))
    p = {family: -np.expm1(-classes * e) for family, e in zip(null_of, lowest, strict=True)}
    alarms = 0
    for trial in range(trials):
        each = {family: q[trial] for family, q in p.items()}
        alarms += bool(overall(each, null_of, agreement_null()).min() <= 0.02)
    assert alarms / trials == pytest.approx(0.018, abs=0.007)


def test_ten_classes_need_no_correction() -> None:
    p = {"patch": np.linspace(0.001, 1.0, 10), "warp": np.full(10, 0.2)}
    weights = {family: nulls()[family].weight for family in p}
    null = agreement_null()
    together = agreement_p_values(agreement(p, weights), null)
    expected = combined({**p, "agreement": together}, {**weights, "agreement": null.weight})
    assert overall(p, nulls(), null) == pytest.approx(expected)


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


@given(
    st.floats(0.001, 0.2),
    st.lists(st.floats(2, 20), min_size=3, max_size=12),
    st.sampled_from([2, 10, 43]),
)
def test_needed_size_is_where_the_p_value_is_met(
    alpha: float, sizes: list[float], classes: int
) -> None:
    """At just that size, beside these others, a class has that p-value."""
    needed = needed_size(sizes, NULL, alpha, classes)
    others = float(np.quantile(np.clip(sizes, 0, NULL.ceiling), 0.25))
    score = others / needed * max(1.0, NULL.natural / needed) ** 0.3
    assert p_values(np.array([score]), NULL, classes)[0] == pytest.approx(alpha, rel=1e-6)


def test_inputs_that_are_no_images_have_no_natural_size() -> None:
    null = without_scale(NULL, [0.01, 0.02, None])
    assert scores([0.01, 0.02, 0.02], null)[0] == pytest.approx(2)
    assert without_scale(NULL, [None, None]).ceiling > 0


def test_every_family_is_calibrated() -> None:
    assert {*INPUT_FAMILIES, *LATENT_FAMILIES, BY_SOURCE, SHARED} - {"generator"} <= set(nulls())
    assert calibrated_on()
    for null in nulls().values():
        assert 0 < null.natural < null.ceiling
        assert null.scale > 0


# Many targets at once

LEARNED = replace(NULL, least_others=6.0)
SMALL = [0.9, 1.0, 1.1, 1.2]


def test_targets_are_no_reference_for_each_other() -> None:
    """By hand: the least quartile that was learned is 6, and 1 is 4 times below natural. Without
    it, four of ten classes would hide each other."""
    many = [*SMALL, *NATURAL[:6]]
    assert crowded(many, LEARNED)
    assert scores(many, LEARNED)[1] == pytest.approx(6 * 4**0.3)
    assert p_values(scores(many, LEARNED), LEARNED)[:4].max() < 0.01
    assert p_values(scores(many, NULL), NULL)[:4].min() > 0.05


@pytest.mark.parametrize("small", [[], SMALL[:1], SMALL[:2]])
def test_one_or_two_targets_are_no_crowd(small: list[float | None]) -> None:
    sizes = [*small, *NATURAL]
    assert not crowded(sizes, LEARNED)
    assert scores(sizes, LEARNED).tolist() == scores(sizes, NULL).tolist()


def test_a_network_that_is_somewhat_easier_to_reach_is_no_crowd() -> None:
    """Few models were learned from, so that others may lie a little below all of them."""
    easier = [None if value is None else value / 2 for value in NATURAL]
    assert not crowded(easier, LEARNED)
    assert p_values(scores(easier, LEARNED), LEARNED).min() > 0.05


def test_what_would_be_seen_in_a_crowd() -> None:
    many = [*SMALL, *NATURAL[:6]]
    assert needed_size(many, LEARNED, 0.02) == pytest.approx(
        needed_size([6.0] * 9, LEARNED, 0.02), rel=1e-6
    )


def test_nothing_was_learned_of_inputs_without_a_scale() -> None:
    assert not crowded([*SMALL, *NATURAL[:6]], without_scale(LEARNED, NATURAL))


def test_learned_quartiles() -> None:
    """None for sources, all of which a single backdoor for all moves, and inside the network."""
    without = {BY_SOURCE, SHARED, *LATENT_FAMILIES}
    for family, null in nulls().items():
        assert (null.least_others == 0) == (family in without)
        assert null.least_others < null.ceiling
