"""Choose the plan and the guard's threshold on the clean set, by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.align.fit import Plan, fit_corrections
from undoor.align.margin import margin, without
from undoor.align.result import Trial
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.progress import Progress, silent
from undoor.scan.triggered import half_triggered, triggered
from undoor.sites import attach
from undoor.triggers import Trigger

FOLDS = 2
WANTED_FPR = 0.05
# Clean inputs of the target are few (10 to 100): their largest score understates the tail.
TAIL_DEVIATIONS = 2.5
# The threshold lies this far from the clean scores towards the triggered ones. Nearer to the
# clean: true triggers differ from recovered ones, the clean inputs do not.
TOWARDS_TRIGGERED = 0.15


@dataclass(frozen=True, eq=False)
class Bench:
    """What plans are tried on: clean inputs of all classes, and the sources' share of them.

    x, y : the clean set. sources : [N] true where an image is of a source class. triggers : some
    recovered triggers of one target; each plan is fitted on one and judged on the others too.
    """

    classifier: Classifier
    target: int
    x: Tensor
    y: Tensor
    sources: Tensor
    triggers: Sequence[Trigger]


@dataclass(frozen=True)
class Outcome:
    """Guarded SIA and ASR on triggered inputs, FPR on clean ones answered with the target."""

    sia: float
    asr: float
    fpr: float

    @property
    def score(self) -> float:
        """SIA, less what FPR exceeds the wanted one by."""
        return self.sia - max(0.0, self.fpr - WANTED_FPR)


def try_plan(bench: Bench, plan: Plan, fit: str, fold: int) -> Outcome:
    """Fit on all images but those of `fold` with the first trigger, judge on the fold.

    The judgement stamps held-out images with every recovered trigger, not only with the one
    fitted on: a fine correction that merely memorises one estimate fails on the others.
    """
    rows = bench.sources.nonzero()[:, 0]
    inside = torch.arange(len(rows)) % FOLDS == fold
    train, test = bench.x[rows[~inside]], bench.x[rows[inside]]
    corrections = fit_to(bench.classifier, bench.triggers[0], train, plan, fit=fit)
    corrected = attach(bench.classifier, corrections)
    clean = clean_scores(bench, corrected)
    passes = [_two_passes(bench, corrected, trigger, test) for trigger in bench.triggers]
    threshold = place_threshold(clean, torch.cat([score for _, _, score in passes]))
    own = bench.y[rows[inside]]
    answers = [_answers(bench, *result, threshold) for result in passes]
    return Outcome(
        sia=_mean([float((answer == own).float().mean()) for answer in answers]),
        asr=_mean([float((answer == bench.target).float().mean()) for answer in answers]),
        fpr=float((clean > threshold).float().mean()) if len(clean) else 0.0,
    )


def fit_to(
    classifier: Classifier,
    trigger: Trigger,
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
    chosen = max(outcomes, key=lambda name: outcomes[name].score)
    trials = tuple(
        Trial(name, outcome.sia, outcome.fpr, outcome.score) for name, outcome in outcomes.items()
    )
    return chosen, trials, outcomes[chosen]


def calibrate(bench: Bench, corrections: Mapping[str, Correction]) -> float:
    """The guard's threshold for corrections fitted on the whole clean set.

    Clean inputs of the target took no part in the fit (it uses source classes), so their scores
    are those of new inputs.
    """
    corrected = attach(bench.classifier, corrections)
    x = bench.x[bench.sources]
    scores = [_two_passes(bench, corrected, trigger, x)[2] for trigger in bench.triggers]
    return place_threshold(clean_scores(bench, corrected), torch.cat(scores))


def place_threshold(clean: Tensor, triggered: Tensor) -> float:
    """A threshold on the margin drop, never below 0.

    Where the two kinds part (the 5 % point of the triggered above the tail of the clean), a little
    way from the tail. Where they overlap, at the tail while half of the triggered lie beyond it
    (estimates are weaker than true triggers as a rule), and never below the clean 95 % point.

    >>> place_threshold(torch.tensor([0.0, 1.0]), torch.tensor([50.0, 60.0])) < 20
    True
    """
    if len(clean) == 0:
        return 0.0
    spread = float(clean.std()) if len(clean) > 1 else 0.0
    tail = max(float(clean.max()), float(clean.mean()) + TAIL_DEVIATIONS * spread, 0.0)
    reach = float(torch.quantile(triggered, 0.05)) if len(triggered) else tail
    if reach > tail:
        return tail + TOWARDS_TRIGGERED * (reach - tail)
    least = max(0.0, float(torch.quantile(clean, 1 - WANTED_FPR)))
    return max(least, min(tail, float(triggered.median()) if len(triggered) else tail))


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
