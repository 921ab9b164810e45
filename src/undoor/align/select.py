"""Choose the plan on the clean set, by cross-validation, and calibrate the guard for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor

from undoor.align.cross_validation import CrossValidation, JudgedInputs
from undoor.align.fit import Plan, fit_corrections
from undoor.align.guard_score import shortfall
from undoor.align.guard_threshold import GuardThreshold, place_threshold
from undoor.align.transform import Correction
from undoor.align.trial import Trial
from undoor.classifier import Classifier
from undoor.inversion.counted_step import counted_step
from undoor.inversion.triggered import Change, half_triggered
from undoor.journal import Arrays
from undoor.progress import Progress, silent
from undoor.sites import attach


@dataclass(frozen=True)
class PlanRates:
    """What a plan reaches with the guard in place, as shares in [0, 1].

    Attributes
    ----------
    sia
        Robust accuracy (the paper's SIA) on triggered inputs.
    asr
        Attack success rate on triggered inputs.
    fpr
        False-positive rate on clean images of the target class that are predicted as it.
    """

    sia: float
    asr: float
    fpr: float

    def score(self, wanted: float) -> float:
        """Return the SIA, less what the FPR exceeds the wanted one by."""
        return self.sia - max(0.0, self.fpr - wanted)


def try_plan(validation: CrossValidation, plan: Plan, fit: str, fold: int) -> PlanRates:
    """Fit a plan on the images of one fold, and judge it on the held-out ones.

    Held-out images are stamped with every recovered trigger, not only with the one fitted on, or
    with those of a family that was not fitted on: a fine correction that has overfit the estimates
    fails on others.
    """
    held_out = validation.folds[fold]
    x = validation.x[held_out.train]
    corrections = fit_to(validation.classifier, held_out.change, x, plan, fit=fit)
    corrected = attach(validation.classifier, corrections)
    clean = clean_scores(validation, corrected)
    seen = [item.seen_by(corrected, validation.target) for item in held_out.judged]
    threshold = place_threshold(clean, torch.cat([score for _, score in seen]), validation.fpr)
    task = validation.classifier.task
    answers = [
        _guarded(task.predictions(item.bare), answer, _flagged(validation, item, score, threshold))
        for item, (answer, score) in zip(held_out.judged, seen, strict=True)
    ]
    labels = [item.labels for item in held_out.judged]
    return PlanRates(
        sia=_mean([_share(task.correct(a, y)) for a, y in zip(answers, labels, strict=True)]),
        asr=_mean([_share(task.reached(answer, validation.target)) for answer in answers]),
        fpr=float((~(clean <= threshold)).float().mean()) if len(clean) else 0.0,
    )


def fit_to(
    classifier: Classifier,
    trigger: Change,
    x: Tensor,
    plan: Plan,
    *,
    fit: str,
    progress: Progress = silent,
) -> dict[str, Correction]:
    """Fit corrections on clean inputs x [n, ...] with and without the trigger."""
    attacked = half_triggered(classifier, trigger)
    return fit_corrections(attacked, x, x, plan, fit=fit, progress=progress)


def choose_plan(
    validation: CrossValidation, plans: Mapping[str, Plan], fit: str, progress: Progress = silent
) -> tuple[str, tuple[Trial, ...], PlanRates]:
    """Return the name of the chosen plan, all trials, and its cross-validated outcome.

    Chosen is the coarsest (the first) whose score lies within one standard error of the best
    (L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3): all are judged
    on estimates, and a coarse correction tolerates more of what the true trigger has beside them.
    """
    outcomes = {}
    for done, (name, plan) in enumerate(plans.items(), 1):
        outcomes[name] = _average(
            [_tried(validation, name, plan, fit, k) for k in range(len(validation.folds))]
        )
        progress("choosing where to correct", done, len(plans))
    scores = {name: outcome.score(validation.fpr) for name, outcome in outcomes.items()}
    best_plan = max(scores, key=lambda name: scores[name])
    near = scores[best_plan] - _standard_error(outcomes[best_plan].sia, validation)
    chosen = next(name for name, score in scores.items() if score >= near)
    trials = tuple(
        Trial(name, outcome.sia, outcome.fpr, scores[name]) for name, outcome in outcomes.items()
    )
    return chosen, trials, outcomes[chosen]


def _tried(validation: CrossValidation, name: str, plan: Plan, fit: str, fold: int) -> PlanRates:
    """Call `try_plan`, or read its result from the journal where it is there already."""

    def compute() -> Arrays:
        return {"outcome": np.array(astuple(try_plan(validation, plan, fit, fold)))}

    facts = (validation.target, name, fit, fold)
    arrays = counted_step(validation.journal, validation.meter, "plan", compute, *facts)
    sia, asr, fpr = arrays["outcome"].tolist()
    return PlanRates(sia, asr, fpr)


def calibrate_guard(
    validation: CrossValidation, corrections: Mapping[str, Correction]
) -> GuardThreshold:
    """Calibrate the guard for corrections fitted on the whole clean set.

    Clean inputs of the target took no part in the fit (it uses source classes), so their scores
    are those of new inputs. They did take part in the choice of the plan, one of a few.
    """
    corrected = attach(validation.classifier, corrections)
    scores = [item.seen_by(corrected, validation.target)[1] for item in validation.judged()]
    return GuardThreshold.of(clean_scores(validation, corrected), torch.cat(scores), validation.fpr)


@torch.no_grad()
def clean_scores(validation: CrossValidation, corrected: Classifier) -> Tensor:
    """Return the guard's scores [m] of the clean inputs of the target that are predicted as it."""
    x, bare = validation.predicted_as_target
    return shortfall(validation.classifier.task, bare, corrected.logits(x), validation.target)


def _flagged(
    validation: CrossValidation, item: JudgedInputs, score: Tensor, threshold: float
) -> Tensor:
    task = validation.classifier.task
    return task.reached(task.predictions(item.bare), validation.target) & ~(score <= threshold)


def _guarded(bare: Tensor, corrected: Tensor, flagged: Tensor) -> Tensor:
    """Return bare predictions [n, ...] with corrected ones where inputs [n] are flagged."""
    out = bare.clone()
    out[flagged] = corrected[flagged]
    return out


def _standard_error(share: float, validation: CrossValidation) -> float:
    """Return the standard error of a share of all triggered inputs that a plan is judged on."""
    count = sum(len(item.labels) for fold in validation.folds for item in fold.judged)
    return math.sqrt(share * (1 - share) / max(1, count))


def _average(outcomes: Sequence[PlanRates]) -> PlanRates:
    return PlanRates(
        _mean([outcome.sia for outcome in outcomes]),
        _mean([outcome.asr for outcome in outcomes]),
        _mean([outcome.fpr for outcome in outcomes]),
    )


def _share(hits: Tensor) -> float:
    return float(hits.float().mean())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
