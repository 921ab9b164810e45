"""Choosing a plan and a threshold."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import TARGET, clean_images, toy_classifier, true_trigger
from torch import Tensor

from undoor.align import select
from undoor.align.fit import Plan, fit_corrections
from undoor.align.select import (
    Bench,
    Outcome,
    calibrate,
    choose_plan,
    clean_scores,
    place_threshold,
    try_plan,
)
from undoor.guard import Guarded
from undoor.sites import attach
from undoor.triggers import Stamp, Trigger

LAYER: Plan = {"network.1": "channel"}
scores_of = st.lists(st.floats(-50, 50), min_size=1, max_size=40)


def bench(backdoored: bool = True, triggers: list[Trigger] | None = None) -> Bench:
    clean = clean_images(12)
    return Bench(
        toy_classifier(backdoored=backdoored, norm=True),
        TARGET,
        clean.images,
        clean.labels,
        clean.labels != TARGET,
        [true_trigger()] if triggers is None else triggers,
    )


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


# The threshold


@given(scores_of, scores_of)
def test_threshold_is_never_negative_and_finite(clean: list[float], hits: list[float]) -> None:
    threshold = place_threshold(numbers(*clean), numbers(*hits))
    assert 0 <= threshold < 1e4


@given(scores_of, scores_of)
def test_at_most_one_clean_input_in_twenty_is_flagged(
    clean: list[float], hits: list[float]
) -> None:
    scores = numbers(*clean)
    flagged = int((scores > place_threshold(scores, numbers(*hits))).sum())
    # Linear interpolation of the quantile may leave one above a short list's 95 % point.
    assert flagged <= int(np.ceil(0.05 * (len(clean) - 1)))


@given(scores_of, st.floats(1, 1e3))
def test_where_the_two_part_all_is_told_apart(clean: list[float], gap: float) -> None:
    scores = numbers(*clean)
    spread = float(scores.std()) if len(clean) > 1 else 0.0
    tail = max(float(scores.max()), float(scores.mean()) + 2.5 * spread, 0.0)
    start = tail + gap
    hits = torch.linspace(start, start + 10, 20)
    threshold = place_threshold(scores, hits)
    assert not bool((scores > threshold).any())
    assert bool((hits > threshold).all())
    # Nearer to the clean scores: true triggers differ from recovered ones.
    assert threshold - tail < float(hits.median()) - threshold


def test_where_they_overlap_the_clean_decide() -> None:
    clean = torch.arange(101.0)
    assert place_threshold(clean, numbers(-5, 3, 10)) == pytest.approx(95)
    # While half of the triggered lie beyond the tail of the clean, none of these is flagged.
    assert 100 <= place_threshold(clean, numbers(0, 200, 300)) < 200


def test_no_scores() -> None:
    assert place_threshold(numbers(), numbers(1, 2)) == 0
    assert place_threshold(numbers(), numbers()) == 0


# Plans


def test_score_punishes_false_alarms_beyond_the_wanted() -> None:
    assert Outcome(0.9, 0.0, 0.05).score == pytest.approx(0.9)
    assert Outcome(0.9, 0.0, 0.0).score == pytest.approx(0.9)
    assert Outcome(0.9, 0.0, 0.25).score == pytest.approx(0.7)


def test_best_plan_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the mean over the folds; among equals the first, which is the coarsest."""
    table = {
        ("bad", 0): Outcome(0.9, 0.1, 0.9),
        ("bad", 1): Outcome(0.9, 0.1, 0.9),
        ("good", 0): Outcome(0.6, 0.2, 0.0),
        ("good", 1): Outcome(1.0, 0.0, 0.04),
        ("same", 0): Outcome(0.8, 0.0, 0.0),
        ("same", 1): Outcome(0.8, 0.0, 0.0),
    }
    plans: dict[str, Plan] = {name: {name: "channel"} for name in ("bad", "good", "same")}
    monkeypatch.setattr(
        select, "try_plan", lambda _bench, plan, _fit, fold: table[next(iter(plan)), fold]
    )
    calls: list[tuple[int, int]] = []
    chosen, trials, outcome = choose_plan(
        bench(), plans, "onepass", lambda _stage, done, total: calls.append((done, total))
    )
    assert chosen == "good"
    assert outcome.sia == pytest.approx(0.8)
    assert outcome.asr == pytest.approx(0.1)
    assert outcome.fpr == pytest.approx(0.02)
    assert [trial.name for trial in trials] == ["bad", "good", "same"]
    assert [trial.score for trial in trials] == pytest.approx([0.05, 0.8, 0.8])
    assert calls[-1] == (3, 3)


@pytest.mark.parametrize("fold", [0, 1])
def test_outcome_of_a_good_and_of_no_correction(fold: int) -> None:
    good = try_plan(bench(), LAYER, "onepass", fold)
    assert good.sia > 0.9
    assert good.asr < 0.05
    assert good.fpr <= 0.1
    none = try_plan(bench(), {}, "onepass", fold)
    assert none.asr == 1
    assert none.sia == 0


def test_folds_are_judged_on_images_that_were_not_fitted_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each source image is held out once, and never both fitted on and judged by."""
    seen: list[Tensor] = []
    real = select.fit_corrections

    def watch(classifier: object, clean: Tensor, *rest: object, **options: object) -> object:
        seen.append(clean)
        return real(classifier, clean, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(select, "fit_corrections", watch)
    judged: list[Tensor] = []

    class Watch(Stamp):
        def __call__(self, x: Tensor) -> Tensor:
            # Once for the original, once for the corrected network.
            if not judged or not torch.equal(judged[-1], x):
                judged.append(x)
            return super().__call__(x)

    watcher = Watch(*(getattr(true_trigger(), field.name) for field in fields(Stamp)))
    made = bench(triggers=[true_trigger(), watcher])
    for fold in range(select.FOLDS):
        try_plan(made, LAYER, "onepass", fold)
    sources = {tuple(x.flatten().tolist()) for x in made.x[made.sources]}
    held_out: list[tuple[float, ...]] = []
    for train, test in zip(seen, judged, strict=True):
        fitted, tried = ({tuple(x.flatten().tolist()) for x in part} for part in (train, test))
        assert not fitted & tried
        assert fitted | tried == sources
        held_out += tried
    assert sorted(held_out) == sorted(sources)


def test_other_triggers_count() -> None:
    """A plan that undoes the trigger it was fitted on and not another is worth half."""
    mask, pattern = torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)
    mask[:, :2, :2] = 1
    useless = Stamp("given", 0 * mask, pattern, "replace", (0.0, 1.0))
    one = try_plan(bench(), LAYER, "onepass", 0)
    two = try_plan(bench(triggers=[true_trigger(), useless]), LAYER, "onepass", 0)
    # The useless trigger changes nothing, and all images keep their class.
    assert two.sia == pytest.approx((one.sia + 1) / 2, abs=0.05)
    assert two.asr == pytest.approx(one.asr / 2, abs=0.05)


# Scores


def test_clean_scores_by_hand() -> None:
    made = bench()
    x = made.x[made.sources]
    corrections = fit_corrections(made.classifier, x, true_trigger()(x), LAYER)
    corrected = attach(made.classifier, corrections)
    expected = []
    for image in made.x:
        before, after = (net(image[None])[0].tolist() for net in (made.classifier, corrected))
        if max(before) == before[TARGET]:
            drop = [
                row[TARGET] - max(v for i, v in enumerate(row) if i != TARGET)
                for row in (before, after)
            ]
            expected.append(drop[0] - drop[1])
    assert len(expected) == 12
    np.testing.assert_allclose(clean_scores(made, corrected).numpy(), expected, atol=1e-4)


def test_calibrated_guard_flags_triggered_and_not_clean_inputs() -> None:
    """The threshold is one for the guard's own scores."""
    made = bench()
    x = made.x[made.sources]
    corrections = fit_corrections(made.classifier, x, true_trigger()(x), LAYER)
    threshold = calibrate(made, corrections)
    guarded = Guarded(made.classifier, {TARGET: corrections}, {TARGET: threshold})
    _, flagged, _ = guarded(made.x)
    assert float(flagged.float().mean()) == 0
    fresh = clean_images(20, seed=6)
    _, flagged, score = guarded(true_trigger()(fresh.images))
    assert bool(flagged.all())
    assert float(score.min()) > threshold > 0


def test_no_clean_input_of_the_target() -> None:
    """Nothing to calibrate on: flag whatever the correction lowers, rather than nothing."""
    made = bench()
    keep = made.y != TARGET
    made = replace(made, x=made.x[keep], y=made.y[keep], sources=made.sources[keep])
    corrections = fit_corrections(made.classifier, made.x, true_trigger()(made.x), LAYER)
    assert calibrate(made, corrections) == 0
    assert try_plan(made, LAYER, "onepass", 0).fpr == 0
