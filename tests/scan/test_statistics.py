"""How much smaller a trigger is, and how rare that is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.family_names import BY_SOURCE, LATENT_FAMILIES, OF_ONE_SIZE, SHARED
from undoor.families.at_size import AtSize
from undoor.families.calibration import calibrated_on, calibration_for
from undoor.families.null import Null
from undoor.families.registry import REGISTRY, family_named, nulls
from undoor.scan.statistics import (
    NULL_CLASSES,
    crowded,
    margin_scores,
    needed_size,
    p_values,
    score_beside,
    scores,
    without_scale,
)
from undoor.vocabulary import POINTS, ROWS, SIGNALS, TOKENS

LEARNED_MANY = calibration_for(10)
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


def test_every_family_that_is_searched_is_calibrated() -> None:
    """Families of rows and texts, of two classes, of signals and points have their own nulls."""
    learned = {
        ROWS: calibration_for(2, ROWS),
        TOKENS: calibration_for(2, TOKENS),
        SIGNALS: calibration_for(10, SIGNALS, shape=(1, 4096)),
        POINTS: calibration_for(10, POINTS, shape=(128, 3)),
    }
    apart = {
        name
        for space, each in learned.items()
        for name in nulls(each)
        if family_named(name).spaces == {space}
    }
    searched = [family for family in REGISTRY if not family.spaces <= family.on_request]
    assert {family.name for family in searched} == set(nulls(LEARNED_MANY)) | apart
    assert len(apart) == 3 + 2 + 5 + 4
    assert calibrated_on()
    for family in searched:
        if family.name in apart:
            continue
        assert family.null is not None
        assert family.null.scale > 0
        assert family.at_size or 0 < family.null.natural < family.null.ceiling


# Margins at one size

PLAN = AtSize(1.0)


def test_a_margin_is_compared_with_the_others() -> None:
    """By hand: the others of the first class are -2 in the middle and 0.5 away from it at the
    median; those of the third are -1.5 and 0.5."""
    lead = np.log(margin_scores([4.0, -2.0, -3.0, -2.0, -1.0], PLAN))
    unit = 1 + 1.4826 * 0.5
    assert lead[[0, 2]].tolist() == pytest.approx([6 / unit, -1.5 / unit])


def test_networks_that_spread_more_need_a_clearer_trigger() -> None:
    natural = np.array([-3.0, -2.5, -2.0, -1.5, -1.0])
    narrow, wide = (margin_scores([4.0, *(-2 + t * (natural + 2))], PLAN) for t in (0.2, 3.0))
    assert narrow[0] > wide[0]


def test_parts_of_the_middle_and_the_spread() -> None:
    lead = np.log(margin_scores([4.0, -2.0, -3.0, -2.0, -1.0], AtSize(1.0, relative=0.5, spread=0)))
    assert lead[[0, 2]].tolist() == pytest.approx([5.0, -2.25])


def test_several_targets_all_stand_out() -> None:
    """Six targets of eight classes are no reference for each other."""
    lead = np.log(margin_scores([6.0, 5.0, 7.0, 6.0, 5.0, 6.0, -2.0, -2.0], PLAN))
    assert lead[:6].min() > 1.5
    assert lead[6:].max() < 0


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20))
def test_margins_have_positive_finite_scores(margins: list[float]) -> None:
    score = margin_scores(margins, PLAN)
    assert np.isfinite(score).all()
    assert (score > 0).all()


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
    """None for sources, all of which a single backdoor for all moves, inside the network, and where
    margins are measured."""
    without = {BY_SOURCE, SHARED, *LATENT_FAMILIES, *OF_ONE_SIZE}
    for family, null in nulls(LEARNED_MANY).items():
        assert (null.least_others == 0) == (family in without)
        assert family in OF_ONE_SIZE or null.least_others < null.ceiling
