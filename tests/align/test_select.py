"""Choosing a plan and a threshold."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.tiny import TARGET, clean_images, toy_classifier, true_trigger
from undoor.align import cross_validation, select
from undoor.align.cross_validation import FOLDS, CrossValidation
from undoor.align.estimates import HeldOut
from undoor.align.fit import Plan, fit_corrections
from undoor.align.select import PlanRates, calibrate_guard, choose_plan, clean_scores, try_plan
from undoor.classifier import Classifier
from undoor.guard import Guarded
from undoor.inversion.triggered import Change
from undoor.sites import attach
from undoor.triggers import Stamp, Trigger

LAYER: Plan = {"network.1": "channel"}


def validation(backdoored: bool = True, triggers: list[Trigger] | None = None) -> CrossValidation:
    clean = clean_images(12)
    return CrossValidation(
        toy_classifier(backdoored=backdoored, norm=True),
        TARGET,
        clean.images,
        clean.labels,
        clean.labels != TARGET,
        [true_trigger()] if triggers is None else triggers,
    )


# Plans


def test_score_punishes_false_alarms_beyond_the_wanted() -> None:
    assert PlanRates(0.9, 0.0, 0.05).score(0.05) == pytest.approx(0.9)
    assert PlanRates(0.9, 0.0, 0.0).score(0.05) == pytest.approx(0.9)
    assert PlanRates(0.9, 0.0, 0.25).score(0.05) == pytest.approx(0.7)
    assert PlanRates(0.9, 0.0, 0.25).score(0.01) == pytest.approx(0.66)


def test_best_plan_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the mean over the folds; of those that are as good the first, which is the coarsest."""
    table = {
        ("bad", 0): PlanRates(0.9, 0.1, 0.9),
        ("bad", 1): PlanRates(0.9, 0.1, 0.9),
        ("good", 0): PlanRates(0.6, 0.2, 0.0),
        ("good", 1): PlanRates(1.0, 0.0, 0.04),
        ("hardly better", 0): PlanRates(0.81, 0.0, 0.0),
        ("hardly better", 1): PlanRates(0.81, 0.0, 0.0),
    }
    plans: dict[str, Plan] = {name: {name: "channel"} for name in ("bad", "good", "hardly better")}
    monkeypatch.setattr(
        select, "try_plan", lambda _validation, plan, _fit, fold: table[next(iter(plan)), fold]
    )
    calls: list[tuple[int, int]] = []
    chosen, trials, outcome = choose_plan(
        replace(validation(), fpr=0.05),
        plans,
        "onepass",
        lambda _stage, done, total: calls.append((done, total)),
    )
    assert chosen == "good"
    assert outcome.sia == pytest.approx(0.8)
    assert outcome.asr == pytest.approx(0.1)
    assert outcome.fpr == pytest.approx(0.02)
    assert [trial.name for trial in trials] == ["bad", "good", "hardly better"]
    assert [trial.score for trial in trials] == pytest.approx([0.05, 0.8, 0.81])
    assert calls[-1] == (3, 3)
    # 120 judgements: the standard error is less than four points.
    table |= {("hardly better", fold): PlanRates(0.85, 0.0, 0.0) for fold in (0, 1)}
    assert choose_plan(replace(validation(), fpr=0.05), plans, "onepass")[0] == "hardly better"


@pytest.mark.parametrize("fold", [0, 1])
def test_outcome_of_a_good_and_of_no_correction(fold: int) -> None:
    good = try_plan(validation(), LAYER, "onepass", fold)
    assert good.sia > 0.9
    assert good.asr < 0.05
    assert good.fpr <= 0.1
    none = try_plan(validation(), {}, "onepass", fold)
    assert none.asr == 1
    assert none.sia == 0


def test_folds_are_judged_on_images_that_were_not_fitted_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each source image is held out once, and never both fitted on and judged by."""
    seen: list[Tensor] = []

    def watch(classifier: object, clean: Tensor, *rest: object, **options: object) -> object:
        seen.append(clean)
        return fit_corrections(classifier, clean, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(select, "fit_corrections", watch)
    judged: list[Tensor] = []

    class Watch(Stamp):
        def __call__(self, x: Tensor) -> Tensor:
            # Once for the original, once for the corrected network.
            if not any(torch.equal(item, x) for item in judged):
                judged.append(x)
            return super().__call__(x)

    watcher = Watch(*(getattr(true_trigger(), field.name) for field in fields(Stamp)))
    made = validation(triggers=[true_trigger(), watcher])
    for fold in range(FOLDS):
        try_plan(made, LAYER, "onepass", fold)
    sources = {tuple(x.flatten().tolist()) for x in made.x[made.sources]}
    held_out: list[tuple[float, ...]] = []
    for train, test in zip(seen, judged, strict=True):
        fitted, tried = ({tuple(x.flatten().tolist()) for x in part} for part in (train, test))
        assert not fitted & tried
        assert fitted | tried == sources
        held_out += tried
    assert sorted(held_out) == sorted(sources)


def test_plans_are_judged_by_families_that_were_not_fitted_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted: list[Change] = []
    real = select.fit_to

    def watch(classifier: Classifier, change: Change, *rest: Any, **options: Any) -> Any:
        fitted.append(change)
        return real(classifier, change, *rest, **options)

    monkeypatch.setattr(select, "fit_to", watch)
    one, other = true_trigger(), replace(true_trigger(), family="blend")
    parts = [HeldOut([one], other), HeldOut([other], one)]
    made = replace(validation(triggers=[one, other]), held_out=parts)
    for fold in range(len(parts)):
        assert try_plan(made, LAYER, "onepass", fold).sia > 0.9
    assert fitted == [other, one]
    assert [fold.judged[0].trigger for fold in made.folds] == [one, other]


def test_as_many_folds_as_families() -> None:
    parts = [HeldOut([true_trigger()], true_trigger())] * 3
    folds = replace(validation(), held_out=parts).folds
    rows = validation().sources.nonzero()[:, 0].tolist()
    assert len(folds) == 3
    for fold in folds:
        (judged,) = fold.judged
        assert len(fold.train) + len(judged.x) == len(rows)
        assert set(fold.train.tolist()) < set(rows)


def test_smaller_has_few_sources_and_all_images_of_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cross_validation, "ENOUGH_FOR_CHANNELS", 40)
    made = validation()
    small = made.smaller()
    assert torch.equal(small.x[small.sources], made.x[made.sources][:40])
    assert (len(made.folds), len(small.folds)) == (2, 1)
    assert len(small.predicted_as_target[0]) > 10
    assert torch.equal(small.predicted_as_target[0], made.predicted_as_target[0])


def test_other_triggers_count() -> None:
    """A plan that undoes the trigger it was fitted on and not another is worth half."""
    mask, pattern = torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)
    mask[:, :2, :2] = 1
    useless = Stamp("given", 0 * mask, pattern, "replace", (0.0, 1.0))
    one = try_plan(validation(), LAYER, "onepass", 0)
    two = try_plan(validation(triggers=[true_trigger(), useless]), LAYER, "onepass", 0)
    # The useless trigger changes nothing, and all images keep their class.
    assert two.sia == pytest.approx((one.sia + 1) / 2, abs=0.05)
    assert two.asr == pytest.approx(one.asr / 2, abs=0.05)


# Scores


def test_clean_scores_by_hand() -> None:
    made = validation()
    x = made.x[made.sources]
    corrections = fit_corrections(made.classifier, x, true_trigger()(x), LAYER)
    corrected = attach(made.classifier, corrections)
    expected = []
    for image in made.x:
        before, after = (net(image[None])[0].tolist() for net in (made.classifier, corrected))
        if max(before) == before[TARGET]:
            margins = [
                row[TARGET] - max(v for i, v in enumerate(row) if i != TARGET)
                for row in (before, after)
            ]
            expected.append(0.75 * margins[0] - margins[1])
    assert len(expected) == 12
    np.testing.assert_allclose(clean_scores(made, corrected).numpy(), expected, atol=1e-4)


def test_what_is_mistaken_for_the_target_sets_no_threshold() -> None:
    """A clean input that shows the trigger of itself is answered with the target and drops far."""
    made = validation()
    x = made.x[made.sources]
    corrections = fit_corrections(made.classifier, x, true_trigger()(x), LAYER)
    corrected = attach(made.classifier, corrections)
    natural = true_trigger()(x[:4])
    assert made.classifier.predict(natural).tolist() == [TARGET] * 4
    more = replace(
        made,
        x=torch.cat([made.x, natural]),
        y=torch.cat([made.y, made.y[made.sources][:4]]),
        sources=torch.cat([made.sources, torch.ones(4, dtype=torch.bool)]),
    )
    assert torch.equal(clean_scores(more, corrected), clean_scores(made, corrected))


def test_calibrated_guard_flags_triggered_and_not_clean_inputs() -> None:
    """The threshold is one for the guard's own scores."""
    made = validation()
    x = made.x[made.sources]
    corrections = fit_corrections(made.classifier, x, true_trigger()(x), LAYER)
    calibration = calibrate_guard(made, corrections)
    threshold = calibration.threshold
    assert calibration.n == 12
    assert calibration.flagged.value == 0
    guarded = Guarded(made.classifier, {TARGET: corrections}, {TARGET: threshold})
    _, flagged, _ = guarded(made.x)
    assert float(flagged.float().mean()) == 0
    fresh = clean_images(20, seed=6)
    _, flagged, score = guarded(true_trigger()(fresh.images))
    assert bool(flagged.all())
    assert float(score.min()) > threshold > 0


def test_no_clean_input_of_the_target() -> None:
    """Nothing to calibrate on: flag whatever the correction lowers, rather than nothing."""
    made = validation()
    keep = made.y != TARGET
    made = replace(made, x=made.x[keep], y=made.y[keep], sources=made.sources[keep])
    corrections = fit_corrections(made.classifier, made.x, true_trigger()(made.x), LAYER)
    calibration = calibrate_guard(made, corrections)
    assert calibration.threshold == 0
    assert calibration.flagged.value is None
    assert not calibration.attainable
    assert try_plan(made, LAYER, "onepass", 0).fpr == 0


def test_the_wanted_rate_reaches_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the trials and in the calibration: where the scores overlap, a higher one lowers it."""
    made = validation()
    x = made.x[made.sources]
    corrections = fit_corrections(made.classifier, x, true_trigger()(x), LAYER)
    # Twelve clean inputs of the target, no better than the triggered ones by their scores.
    monkeypatch.setattr(select, "clean_scores", lambda *_: torch.linspace(0, 1000, 12))
    found = [calibrate_guard(replace(made, fpr=fpr), corrections) for fpr in (0.01, 0.25, 0.5)]
    assert [item.wanted for item in found] == [0.01, 0.25, 0.5]
    assert [item.attainable for item in found] == [False, True, True]
    assert [item.flagged.value for item in found] == pytest.approx([0, 2 / 12, 5 / 12])
    tried = [try_plan(replace(made, fpr=fpr), LAYER, "onepass", 0).fpr for fpr in (0.01, 0.25, 0.5)]
    assert tried == pytest.approx([0, 2 / 12, 5 / 12])
