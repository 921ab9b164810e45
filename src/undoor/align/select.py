"""Choose the plan on the clean set, by cross-validation, and calibrate the guard for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.align.calibrate import DEFAULT_FPR, Calibration, place_threshold
from undoor.align.fit import Plan, fit_corrections
from undoor.align.margin import margin, without
from undoor.align.result import Trial
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.progress import Progress, silent
from undoor.scan.triggered import Change, half_triggered, triggered
from undoor.sites import attach
from undoor.triggers import Trigger

FOLDS = 2


@dataclass(frozen=True, eq=False)
class Bench:
    """What plans are tried on: clean inputs of all classes, and the sources' share of them.

    x, y : the clean set. sources : [N] true where an image is of a source class. triggers : some
    recovered triggers of one target; each plan is judged on all of them.
    fpr : the share of clean inputs answered with the target that may be flagged.
    fitted_on : what plans are fitted on in the place of the first trigger.
    """

    classifier: Classifier
    target: int
    x: Tensor
    y: Tensor
    sources: Tensor
    triggers: Sequence[Trigger]
    fpr: float = DEFAULT_FPR
    fitted_on: Change | None = None

    @property
    def change(self) -> Change:
        """What plans are fitted on."""
        return self.fitted_on or self.triggers[0]


@dataclass(frozen=True)
class Outcome:
    """Guarded SIA and ASR on triggered inputs, FPR on clean ones answered with the target."""

    sia: float
    asr: float
    fpr: float

    def score(self, wanted: float) -> float:
        """SIA, less what FPR exceeds the wanted one by."""
        return self.sia - max(0.0, self.fpr - wanted)


def try_plan(bench: Bench, plan: Plan, fit: str, fold: int) -> Outcome:
    """Fit on all images but those of `fold` judge on the fold.

    The judgement stamps held-out images with every recovered trigger, not only with the one
    fitted on: a fine correction that merely memorises one estimate fails on the others.
    """
    rows = bench.sources.nonzero()[:, 0]
    inside = torch.arange(len(rows)) % FOLDS == fold
    train, test = bench.x[rows[~inside]], bench.x[rows[inside]]
    corrections = fit_to(bench.classifier, bench.change, train, plan, fit=fit)
    corrected = attach(bench.classifier, corrections)
    clean = clean_scores(bench, corrected)
    passes = [_two_passes(bench, corrected, trigger, test) for trigger in bench.triggers]
    threshold = place_threshold(clean, torch.cat([score for _, _, score in passes]), bench.fpr)
    own = bench.y[rows[inside]]
    answers = [_answers(bench, *result, threshold) for result in passes]
    return Outcome(
        sia=_mean([float((answer == own).float().mean()) for answer in answers]),
        asr=_mean([float((answer == bench.target).float().mean()) for answer in answers]),
        fpr=float((clean > threshold).float().mean()) if len(clean) else 0.0,
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
    """`fit_corrections` for clean inputs x [n, ...] with and without the trigger."""
    attacked = half_triggered(classifier, trigger)
    return fit_corrections(attacked, x, x, plan, fit=fit, progress=progress)


def choose_plan(
    bench: Bench, plans: Mapping[str, Plan], fit: str, progress: Progress = silent
) -> tuple[str, tuple[Trial, ...], Outcome]:
    """The name of the best plan, all trials, and the best one's cross-validated outcome."""
    outcomes = {}
    for done, (name, plan) in enumerate(plans.items(), 1):
        outcomes[name] = _average([try_plan(bench, plan, fit, fold) for fold in range(FOLDS)])
        progress("choosing where to correct", done, len(plans))
    chosen = max(outcomes, key=lambda name: outcomes[name].score(bench.fpr))
    trials = tuple(
        Trial(name, outcome.sia, outcome.fpr, outcome.score(bench.fpr))
        for name, outcome in outcomes.items()
    )
    return chosen, trials, outcomes[chosen]


def calibrate(bench: Bench, corrections: Mapping[str, Correction]) -> Calibration:
    """The guard's threshold for corrections fitted on the whole clean set, and what it promises.

    Clean inputs of the target took no part in the fit (it uses source classes), so their scores
    are those of new inputs. They had a say in which plan was chosen, one of a handful.
    """
    corrected = attach(bench.classifier, corrections)
    x = bench.x[bench.sources]
    scores = [_two_passes(bench, corrected, trigger, x)[2] for trigger in bench.triggers]
    return Calibration.of(clean_scores(bench, corrected), torch.cat(scores), bench.fpr)


@torch.no_grad()
def clean_scores(bench: Bench, corrected: Classifier) -> Tensor:
    """Margin drops of the clean inputs that the model answers with the target."""
    logits = bench.classifier(bench.x)
    rows = logits.argmax(1) == bench.target
    before = margin(logits[rows], bench.target)
    return before - margin(corrected(bench.x[rows]), bench.target)


@torch.no_grad()
def _two_passes(
    bench: Bench, corrected: Classifier, trigger: Trigger, x: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Bare answers, corrected answers other than the target, and margin drops of triggered x."""
    logits, after = triggered(bench.classifier, trigger)(x), triggered(corrected, trigger)(x)
    drop = margin(logits, bench.target) - margin(after, bench.target)
    return logits.argmax(1), without(after, bench.target).argmax(1), drop


def _answers(
    bench: Bench, bare: Tensor, corrected: Tensor, score: Tensor, threshold: float
) -> Tensor:
    flagged = (bare == bench.target) & (score > threshold)
    return torch.where(flagged, corrected, bare)


def _average(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        _mean([outcome.sia for outcome in outcomes]),
        _mean([outcome.asr for outcome in outcomes]),
        _mean([outcome.fpr for outcome in outcomes]),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
