"""Choose the plan on inputs that were flagged in operation: nobody knows their own classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.align.calibrate import Calibration, place_threshold
from undoor.align.fit import DEFAULT_FIT, Plan, fit_corrections
from undoor.align.margin import margin, without
from undoor.align.result import Trial
from undoor.align.select import FOLDS, Bench, clean_scores
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.progress import Progress, silent
from undoor.sites import attach

BATCH = 256


@dataclass(frozen=True, eq=False)
class FlaggedBench:
    """What plans are tried on: the clean inputs of a `Bench` (its triggers are not used), and
    `flagged` inputs [M, ...], which are taken for triggered ones of the same source classes."""

    bench: Bench
    flagged: Tensor

    @property
    def sources(self) -> Tensor:
        """The clean inputs of the source classes [n, ...]."""
        return self.bench.x[self.bench.sources]

    def in_fold(self, fold: int) -> Tensor:
        """Which of the flagged inputs [M] are in the fold."""
        return torch.arange(len(self.flagged)) % FOLDS == fold


@dataclass(frozen=True)
class Stability:
    """What can be known of a plan without the flagged inputs' own classes.

    agreed : the share of flagged inputs that get the same answer of corrections fitted on all of
    them and of those that were fitted on the other half alone. kept : the share of clean inputs
    answered with the target that the corrected network, asked alone, answers so as well. missed :
    the share of flagged inputs that a guard whose corrections did not see them would let through.
    fpr : the share of clean inputs answered with the target that it would flag.
    """

    agreed: float
    kept: float
    missed: float
    fpr: float

    def score(self, wanted: float) -> float:
        """Higher is better; 2 where all is well.

        What two samples of flagged inputs disagree about is noise of the fit; for trained
        networks, disagreement is about the error itself (Y. Jiang et al., Assessing Generalization
        of SGD via Disagreement, arXiv 2106.13799). It does not see what both do wrong. Clean
        inputs of the target, whose answer is known and which took no part in the fit, do.
        """
        return self.agreed + self.kept - self.missed - max(0.0, self.fpr - wanted)


def choose_plan_for_flagged(
    on: FlaggedBench, plans: Mapping[str, Plan], progress: Progress = silent
) -> tuple[str, tuple[Trial, ...], Stability]:
    """The name of the best plan (of equals the coarsest), all trials, and what is known of it."""
    known = {}
    for done, (name, plan) in enumerate(plans.items(), 1):
        known[name] = try_on_flagged(on, plan)
        progress("choosing where to correct", done, len(plans))
    wanted = on.bench.fpr
    trials = tuple(
        Trial(name, None, result.fpr, result.score(wanted)) for name, result in known.items()
    )
    chosen = max(trials, key=lambda trial: trial.score).name
    return chosen, trials, known[chosen]


def try_on_flagged(on: FlaggedBench, plan: Plan) -> Stability:
    """Fit on all flagged inputs, and on those outside each fold, and compare the answers."""
    bench, target = on.bench, on.bench.target
    bare = logits_of(bench.classifier, on.flagged)
    whole = _corrected(on, on.flagged, plan)
    held_out, missed = torch.empty_like(bare), torch.zeros(len(bare))
    fpr = []
    for fold in range(FOLDS):
        inside = on.in_fold(fold)
        part = _corrected(on, on.flagged[~inside], plan)
        held_out[inside] = logits_of(part, on.flagged[inside])
        clean = clean_scores(bench, part)
        drop = margin(bare[inside], target) - margin(held_out[inside], target)
        threshold = place_threshold(clean, drop, bench.fpr)
        missed[inside] = (drop <= threshold).float()
        fpr.append(float((clean > threshold).float().mean()) if len(clean) else 0.0)
    answers = without(logits_of(whole, on.flagged), target).argmax(1)
    agreed = answers == without(held_out, target).argmax(1)
    return Stability(
        agreed=float(agreed.float().mean()),
        kept=_kept(bench, whole),
        missed=float(missed.mean()),
        fpr=sum(fpr) / len(fpr),
    )


def calibrate_on_flagged(on: FlaggedBench, corrections: Mapping[str, Correction]) -> Calibration:
    """The guard's threshold for corrections fitted on all flagged inputs.

    As `undoor.align.select.calibrate`: clean inputs of the target took no part in the fit.
    """
    bench, corrected = on.bench, attach(on.bench.classifier, corrections)
    bare, after = logits_of(bench.classifier, on.flagged), logits_of(corrected, on.flagged)
    drop = margin(bare, bench.target) - margin(after, bench.target)
    return Calibration.of(clean_scores(bench, corrected), drop, bench.fpr)


@torch.no_grad()
def logits_of(classifier: Classifier, x: Tensor) -> Tensor:
    """Logits [N, K] of raw inputs, computed batch by batch."""
    return torch.cat([classifier(batch) for batch in x.split(BATCH)])


def _corrected(on: FlaggedBench, flagged: Tensor, plan: Plan) -> Classifier:
    network = on.bench.classifier
    return attach(network, fit_corrections(network, on.sources, flagged, plan, fit=DEFAULT_FIT))


def _kept(bench: Bench, corrected: Classifier) -> float:
    rows = bench.classifier.predict(bench.x) == bench.target
    if not bool(rows.any()):
        return 1.0
    return float((corrected.predict(bench.x[rows]) == bench.target).float().mean())
