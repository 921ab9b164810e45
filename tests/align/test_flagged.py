"""Choosing the plan without labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from helpers.tiny import TARGET, clean_images, toy_classifier, true_trigger
from undoor.align.cross_validation import CrossValidation
from undoor.align.fit import Plan, fit_corrections
from undoor.align.flagged import (
    FlaggedValidation,
    Promise,
    calibrate_on_flagged,
    choose_plan_for_flagged,
    try_on_flagged,
)
from undoor.align.plans import candidate_plans
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.evaluate import stamp_set
from undoor.sites import attach, find_sites

MODEL = toy_classifier(backdoored=True, norm=True)
PLANS = candidate_plans(find_sites(MODEL))


def attacked(each: int = 20, seed: int = 4) -> CleanSet:
    """Triggered inputs, and the classes that nobody knows in operation, in a drawn order."""
    stamped = stamp_set(clean_images(each, seed), true_trigger(), TARGET)
    order = torch.randperm(len(stamped), generator=torch.Generator().manual_seed(seed))
    return CleanSet(stamped.images[order], stamped.labels[order])


def validation(flagged: Tensor, fpr: float = 0.05) -> FlaggedValidation:
    clean = clean_images(20)
    sources = clean.labels != TARGET
    return FlaggedValidation.of(
        CrossValidation(MODEL, TARGET, clean.images, clean.labels, sources, (), fpr), flagged
    )


def test_every_plan_is_tried_and_the_best_is_chosen() -> None:
    calls: list[tuple[str, int, int]] = []
    chosen, trials, promise = choose_plan_for_flagged(
        validation(attacked().images), PLANS, lambda *call: calls.append(call)
    )
    assert [trial.name for trial in trials] == list(PLANS)
    assert all(trial.sia is None for trial in trials)
    best = max(trials, key=lambda trial: trial.score)
    assert (chosen, promise.score(0.05), promise.fpr) == (best.name, best.score, best.fpr)
    assert [done for _, done, _ in calls] == list(range(1, len(PLANS) + 1))
    assert promise.confidence > 0.8
    assert promise.missed < 0.1


def test_a_plan_that_corrects_nothing_promises_little() -> None:
    """However sure the network is of its second answer."""
    on = validation(attacked().images)
    nothing, best = try_on_flagged(on, {}), try_on_flagged(on, PLANS["per channel"])
    assert nothing.missed == 1
    assert best.missed < 0.1
    assert best.score(0.05) > nothing.score(0.05) + 0.5
    assert nothing.confidence < 0.01


def test_of_equals_the_coarsest() -> None:
    same = dict.fromkeys(("first", "second"), PLANS["per channel"])
    assert choose_plan_for_flagged(validation(attacked().images), same)[0] == "first"


def test_judges_inputs_that_were_not_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each flagged input is judged once, by a fit on the others."""
    import undoor.align.flagged as module

    x = attacked(6).images
    fitted: list[Tensor] = []
    judged: list[Tensor] = []
    real_logits = Classifier.logits

    def fit(*given: object, **options: object) -> dict[str, Correction]:
        fitted.append(given[2])  # type: ignore[arg-type]
        return fit_corrections(*given, **options)  # type: ignore[arg-type]

    def logits(network: Classifier, inputs: Tensor, batch_size: int | None = None) -> Tensor:
        judged.append(inputs)
        return real_logits(network, inputs, batch_size)

    monkeypatch.setattr(module, "fit_corrections", fit)
    monkeypatch.setattr(Classifier, "logits", logits)
    try_on_flagged(validation(x), PLANS["per channel"])
    halves = [z for z in judged if len(z) == len(x) // 2]
    assert [len(z) for z in fitted] == [len(x) // 2, len(x) // 2, len(x)]
    assert len(halves) == 2
    for seen, unseen in zip(fitted[:2], halves, strict=True):
        assert len(seen) + len(unseen) == len(x)
        assert not any(bool((z == seen).flatten(1).all(1).any()) for z in unseen)


def test_score() -> None:
    good = Promise(confidence=0.9, clean_confidence=0.8, missed=0.0, fpr=0.05)
    assert good.score(0.05) == pytest.approx(1.7)
    assert good.score(0.01) == pytest.approx(1.66)
    assert replace(good, missed=0.5).score(0.05) == pytest.approx(1.2)


def test_corrections_that_are_sure_of_anything_are_found_out() -> None:
    """Whatever goes in, class 4 comes out: no flagged input tells, clean ones of the target do."""
    on = validation(attacked().images)
    name = "network.1"
    always = MODEL(clean_images(1).images[4:5]).argmax(1)
    assert int(always) == 4
    with torch.no_grad():
        assert isinstance(MODEL.network, nn.Sequential)
        wanted = MODEL.network[:2](clean_images(1).images[4:5])[0]
    fixed = Correction(0 * wanted, wanted, wanted, wanted)

    class Stuck(FlaggedValidation):
        def corrected(self, plan: Plan, rows: Tensor | None = None) -> Classifier:
            return attach(MODEL, {name: fixed})

    stuck = Stuck(on.validation, on.clean, on.labels, on.flagged)
    bad, good = try_on_flagged(stuck, {}), try_on_flagged(on, PLANS["per position to 8"])
    assert bad.confidence > 0.99
    assert bad.missed == 0
    assert bad.clean_confidence < 0.01
    assert good.score(0.05) > bad.score(0.05) + 0.5


def test_calibration_is_for_the_new_corrections() -> None:
    on = validation(attacked().images, fpr=0.1)
    corrections = fit_corrections(MODEL, on.clean, on.flagged, PLANS["per channel"])
    made = calibrate_on_flagged(on, corrections)
    assert (made.wanted, made.n) == (0.1, 20)
    assert (made.flagged.value or 0) <= 0.1
    corrected = attach(MODEL, corrections)
    target = torch.arange(MODEL.num_classes) == TARGET

    def lead(network: torch.nn.Module) -> Tensor:
        logits = network(attacked(20, seed=9).images)
        return logits[:, target][:, 0] - logits[:, ~target].amax(1)

    with torch.no_grad():
        drop = lead(MODEL) - lead(corrected)
    assert float((drop > made.threshold).float().mean()) > 0.9


@pytest.mark.filterwarnings("ignore:var_mean")
def test_no_clean_input_of_the_target() -> None:
    """Nothing to set a threshold on, but no NaN either."""
    clean = clean_images(20)
    keep = clean.labels != TARGET
    x, y = clean.images[keep], clean.labels[keep]
    made = CrossValidation(MODEL, TARGET, x, y, torch.ones(len(y), dtype=torch.bool), ())
    promise = try_on_flagged(FlaggedValidation.of(made, attacked().images), PLANS["per channel"])
    assert promise.fpr == 0
    assert promise.missed < 0.1
    assert promise.clean_confidence == 1
    assert 0 <= promise.confidence <= 1
