"""Choose the plan on inputs that were flagged in operation: nobody knows their own classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from undoor.align.calibrate import Calibration, place_threshold
from undoor.align.fit import Plan, fit_corrections, unpaired
from undoor.align.guard_score import shortfall
from undoor.align.select import FOLDS, Bench, clean_scores
from undoor.align.transform import Correction
from undoor.align.trial import Trial
from undoor.classifier import Classifier
from undoor.progress import Progress, silent
from undoor.sites import attach
from undoor.vocabulary import DEFAULT_FIT

BATCH = 256


@dataclass(frozen=True, eq=False)
class FlaggedBench:
    """What plans are fitted and tried on.

    Attributes
    ----------
    bench
        The clean inputs of all classes; its triggers are not used.
    clean, labels
        Those of the source classes [n, ...] and their classes [n], in the mix in which the flagged
        inputs are thought to be.
    flagged
        Inputs [m, ...] that are taken for triggered ones.
    """

    bench: Bench
    clean: Tensor
    labels: Tensor
    flagged: Tensor

    @cached_property
    def bare(self) -> Tensor:
        """Logits [m, K] of the flagged inputs without corrections."""
        return self.bench.classifier.logits(self.flagged, BATCH)

    @staticmethod
    def of(bench: Bench, flagged: Tensor) -> FlaggedBench:
        """With all clean inputs of the source classes, in their own mix."""
        return FlaggedBench(bench, bench.x[bench.sources], bench.y[bench.sources], flagged)

    def with_network(self, classifier: Classifier) -> FlaggedBench:
        """Return the same inputs for another network."""
        return replace(self, bench=replace(self.bench, classifier=classifier))

    def corrected(self, plan: Plan, rows: Tensor | None = None) -> Classifier:
        """Return the network corrected by a plan fitted on all flagged inputs, or on those of
        [m].
        """
        network = self.bench.classifier
        flagged = self.flagged if rows is None else self.flagged[rows]
        fit = unpaired(DEFAULT_FIT)
        return attach(network, fit_corrections(network, self.clean, flagged, plan, fit=fit))

    def answers(self, corrected: Classifier) -> Tensor:
        """Return what the flagged inputs [m] are answered when it may not be the target."""
        task, outputs = corrected.task, corrected.logits(self.flagged, BATCH)
        return task.predictions(task.without(outputs, self.bench.target))


@dataclass(frozen=True)
class Promise:
    """What can be told of a plan without the flagged inputs' own classes.

    confidence : the mean probability of the likeliest class but the target, of flagged inputs that
    the corrections were not fitted on. How it differs between sets of inputs tells about how the
    accuracy does (D. Guillory et al., Predicting with Confidence on Unseen Distributions, arXiv
    2107.03315). kept : the mean probability of the target in the corrected network, of clean
    inputs answered with it: they took no part in the fit and their answer is known, so that
    corrections that are sure of anything are found out. missed : the share of flagged inputs that a
    guard would not flag, and so answer with the target. fpr : the share of clean inputs answered
    with the target that it would flag.
    """

    confidence: float
    kept: float
    missed: float
    fpr: float

    def score(self, wanted: float) -> float:
        """Compares plans, 2 at best; it is no SIA. Less what FPR exceeds the wanted one by."""
        return self.confidence + self.kept - self.missed - max(0.0, self.fpr - wanted)


def choose_plan_for_flagged(
    on: FlaggedBench, plans: Mapping[str, Plan], progress: Progress = silent
) -> tuple[str, tuple[Trial, ...], Promise]:
    """Return the name of the best plan (of equals the coarsest), all trials, and its promise."""
    promises = {}
    for done, (name, plan) in enumerate(plans.items(), 1):
        promises[name] = try_on_flagged(on, plan)
        progress("choosing where to correct", done, len(plans))
    wanted = on.bench.fpr
    trials = tuple(
        Trial(name, None, promise.fpr, promise.score(wanted)) for name, promise in promises.items()
    )
    chosen = max(trials, key=lambda trial: trial.score).name
    return chosen, trials, promises[chosen]


def try_on_flagged(on: FlaggedBench, plan: Plan) -> Promise:
    """Fit on the flagged inputs outside each fold, and look at those inside."""
    target, bare, task = on.bench.target, on.bare, on.bench.classifier.task
    held_out, missed, fpr = torch.empty_like(bare), torch.zeros_like(bare[:, 0]), []
    for fold in range(FOLDS):
        inside = torch.arange(len(bare), device=bare.device) % FOLDS == fold
        corrected = on.corrected(plan, ~inside)
        held_out[inside] = corrected.logits(on.flagged[inside], BATCH)
        clean = clean_scores(on.bench, corrected)
        score = shortfall(task, bare[inside], held_out[inside], target)
        threshold = place_threshold(clean, score, on.bench.fpr)
        missed[inside] = (score <= threshold).float()
        fpr.append(float((~(clean <= threshold)).float().mean()) if len(clean) else 0.0)
    return Promise(
        confidence=float(_others(task.probabilities(held_out), target).amax(1).mean()),
        kept=_kept(on.bench, on.corrected(plan)),
        missed=float(missed.mean()),
        fpr=sum(fpr) / len(fpr),
    )


def _others(probabilities: Tensor, target: int) -> Tensor:
    """Return the probabilities [N, G] of goals, that of the target set to 0."""
    probabilities[:, target] = 0
    return probabilities


def _kept(bench: Bench, corrected: Classifier) -> float:
    """1 where there is no clean input of the target to tell by."""
    task = bench.classifier.task
    own = bench.x[task.reached(bench.classifier.predict(bench.x), bench.target)]
    if not len(own):
        return 1.0
    return float(task.probabilities(corrected.logits(own, BATCH))[:, bench.target].mean())


def calibrate_on_flagged(on: FlaggedBench, corrections: Mapping[str, Correction]) -> Calibration:
    """Return the guard's threshold for corrections fitted on all flagged inputs.

    As `undoor.align.select.calibrate`: clean inputs of the target took no part in the fit.
    """
    bench, corrected = on.bench, attach(on.bench.classifier, corrections)
    after = corrected.logits(on.flagged, BATCH)
    score = shortfall(bench.classifier.task, on.bare, after, bench.target)
    return Calibration.of(clean_scores(bench, corrected), score, bench.fpr)
