"""Choose the plan on inputs that were flagged in operation, whose classes are not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from undoor.align.cross_validation import FOLDS, CrossValidation
from undoor.align.fit import Plan, fit_corrections, unpaired
from undoor.align.guard_score import shortfall
from undoor.align.guard_threshold import GuardThreshold, place_threshold
from undoor.align.select import clean_scores
from undoor.align.transform import Correction
from undoor.align.trial import Trial
from undoor.classifier import Classifier
from undoor.inversion.counted_step import counted_step
from undoor.journal import Arrays
from undoor.progress import Progress, silent
from undoor.sites import attach
from undoor.vocabulary import DEFAULT_FIT

BATCH = 256


@dataclass(frozen=True, eq=False)
class FlaggedValidation:
    """What plans are fitted and tried on.

    Attributes
    ----------
    validation
        The clean inputs of all classes; its triggers are not used.
    clean, labels
        Those of the source classes [n, ...] and their classes [n], in the class balance that the
        flagged inputs are thought to have.
    flagged
        Inputs [m, ...] that are taken for triggered ones.
    """

    validation: CrossValidation
    clean: Tensor
    labels: Tensor
    flagged: Tensor

    @cached_property
    def bare(self) -> Tensor:
        """Logits [m, K] of the flagged inputs without corrections."""
        return self.validation.classifier.logits(self.flagged, BATCH)

    @staticmethod
    def of(validation: CrossValidation, flagged: Tensor) -> FlaggedValidation:
        """Take all clean inputs of the source classes, in the class balance that they have."""
        return FlaggedValidation(
            validation, validation.x[validation.sources], validation.y[validation.sources], flagged
        )

    def with_network(self, classifier: Classifier) -> FlaggedValidation:
        """Return the same inputs for another network."""
        return replace(self, validation=replace(self.validation, classifier=classifier))

    def corrected(self, plan: Plan, rows: Tensor | None = None) -> Classifier:
        """Return the network corrected by a plan that is fitted on flagged inputs.

        Parameters
        ----------
        plan
            Where to correct, and how finely.
        rows
            [m], which of the flagged inputs; all where none are given.
        """
        network = self.validation.classifier
        flagged = self.flagged if rows is None else self.flagged[rows]
        fit = unpaired(DEFAULT_FIT)
        return attach(network, fit_corrections(network, self.clean, flagged, plan, fit=fit))

    def answers(self, corrected: Classifier) -> Tensor:
        """Return the predictions [m] for the flagged inputs, the target being excluded."""
        task, outputs = corrected.task, corrected.logits(self.flagged, BATCH)
        return task.predictions(task.without(outputs, self.validation.target))


@dataclass(frozen=True)
class Promise:
    """What is known of a plan without the classes of the flagged inputs.

    Attributes
    ----------
    confidence
        Mean probability of the likeliest class but the target, of flagged inputs that the
        corrections were not fitted on. How it differs between sets of inputs indicates how the
        accuracy does (D. Guillory et al., Predicting with Confidence on Unseen Distributions,
        arXiv 2107.03315).
    clean_confidence
        Mean probability of the target in the corrected network, of clean inputs predicted as it:
        they took no part in the fit and their class is known, so that corrections that are sure of
        anything are found out.
    missed
        Share of flagged inputs that a guard would not flag, and so predict as the target.
    fpr
        False-positive rate on clean images predicted as the target.
    """

    confidence: float
    clean_confidence: float
    missed: float
    fpr: float

    def score(self, wanted: float) -> float:
        """Return a score to compare plans by: at most 2, and not a robust accuracy.

        Parameters
        ----------
        wanted
            The false-positive rate that is allowed; what exceeds it is subtracted.
        """
        return self.confidence + self.clean_confidence - self.missed - max(0.0, self.fpr - wanted)


def choose_plan_for_flagged(
    on: FlaggedValidation, plans: Mapping[str, Plan], progress: Progress = silent
) -> tuple[str, tuple[Trial, ...], Promise]:
    """Choose the plan with the highest score; of equal ones the coarsest.

    Parameters
    ----------
    on
        Clean and flagged inputs.
    plans
        By name, from coarse to fine.
    progress
        Progress callback.

    Returns
    -------
    tuple of str, tuple of Trial, and Promise
        The name of the plan, all trials, and what is known of the plan.
    """
    promises = {}
    for done, (name, plan) in enumerate(plans.items(), 1):
        promises[name] = _tried(on, name, plan)
        progress("choosing where to correct", done, len(plans))
    wanted = on.validation.fpr
    trials = tuple(
        Trial(name, None, promise.fpr, promise.score(wanted)) for name, promise in promises.items()
    )
    chosen = max(trials, key=lambda trial: trial.score).name
    return chosen, trials, promises[chosen]


def _tried(on: FlaggedValidation, name: str, plan: Plan) -> Promise:
    """Call `try_on_flagged`, or read its result from the journal where it is there already."""

    def compute() -> Arrays:
        return {"promise": np.array(astuple(try_on_flagged(on, plan)))}

    validation = on.validation
    facts = (validation.target, name)
    arrays = counted_step(validation.journal, validation.meter, "flagged-plan", compute, *facts)
    return Promise(*arrays["promise"].tolist())


def try_on_flagged(on: FlaggedValidation, plan: Plan) -> Promise:
    """Fit on the flagged inputs outside each fold, and look at those inside."""
    target, bare, task = on.validation.target, on.bare, on.validation.classifier.task
    held_out, missed, fpr = torch.empty_like(bare), torch.zeros_like(bare[:, 0]), []
    for fold in range(FOLDS):
        inside = torch.arange(len(bare), device=bare.device) % FOLDS == fold
        corrected = on.corrected(plan, ~inside)
        held_out[inside] = corrected.logits(on.flagged[inside], BATCH)
        clean = clean_scores(on.validation, corrected)
        score = shortfall(task, bare[inside], held_out[inside], target)
        threshold = place_threshold(clean, score, on.validation.fpr)
        missed[inside] = (score <= threshold).float()
        fpr.append(float((~(clean <= threshold)).float().mean()) if len(clean) else 0.0)
    return Promise(
        confidence=float(_others(task.probabilities(held_out), target).amax(1).mean()),
        clean_confidence=_clean_confidence(on.validation, on.corrected(plan)),
        missed=float(missed.mean()),
        fpr=sum(fpr) / len(fpr),
    )


def _others(probabilities: Tensor, target: int) -> Tensor:
    """Return the probabilities [N, G] of goals, that of the target set to 0."""
    probabilities[:, target] = 0
    return probabilities


def _clean_confidence(validation: CrossValidation, corrected: Classifier) -> float:
    """Return `Promise.clean_confidence`; 1 where no clean input is predicted as the target."""
    task = validation.classifier.task
    predicted = validation.classifier.predict(validation.x)
    x = validation.x[task.reached(predicted, validation.target)]
    if not len(x):
        return 1.0
    return float(task.probabilities(corrected.logits(x, BATCH))[:, validation.target].mean())


def calibrate_on_flagged(
    on: FlaggedValidation, corrections: Mapping[str, Correction]
) -> GuardThreshold:
    """Return the guard's threshold for corrections fitted on all flagged inputs.

    As `undoor.align.select.calibrate_guard`: clean inputs of the target took no part in the fit.
    """
    validation, corrected = on.validation, attach(on.validation.classifier, corrections)
    after = corrected.logits(on.flagged, BATCH)
    score = shortfall(validation.classifier.task, on.bare, after, validation.target)
    return GuardThreshold.of(clean_scores(validation, corrected), score, validation.fpr)
