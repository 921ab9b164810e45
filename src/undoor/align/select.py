"""Choose the plan on the clean set, by cross-validation, and calibrate the guard for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from undoor.align.calibrate import Calibration, place_threshold
from undoor.align.estimates import HeldOut
from undoor.align.fit import Plan, fit_corrections
from undoor.align.guard_score import shortfall
from undoor.align.transform import Correction
from undoor.align.trial import Trial
from undoor.classifier import Classifier
from undoor.inversion.meter import Meter, Spent
from undoor.inversion.triggered import Change, half_triggered, triggered
from undoor.journal import Arrays, Draft, Journal
from undoor.progress import Progress, silent
from undoor.sites import attach
from undoor.triggers import Trigger
from undoor.vocabulary import DEFAULT_FPR

# Parts of the images; as a rule there are as many folds, or one for each family that is held out in
# turn.
FOLDS = 2
# Source images that suffice for corrections per channel: on nine targets that this was tried on,
# 100 to 300 gave the same mean SIA.
ENOUGH_FOR_CHANNELS = 150
# Triggered inputs that a plan is judged on in each fold, as far as there are so many: more of them
# tell little more, and several triggers share them.
ENOUGH_JUDGED = 400


@dataclass(frozen=True, eq=False)
class Bench:
    """What plans are tried on: clean inputs of all classes, and the sources' share of them.

    Attributes
    ----------
    x, y
        The clean set, in random order.
    sources
        [N] true where an image is of a source class.
    triggers
        Some recovered triggers of one target; each plan is judged on all of them.
    fpr
        The share of clean inputs answered with the target that may be flagged.
    fitted_on
        What plans are fitted on in the place of the first trigger.
    held_out
        See `Estimates`; where there are some, each fold judges by one of these families a plan
        fitted on the others, since a fine plan learns by heart what it is fitted on, and the true
        trigger is none of it.
    rounds
        How many folds there are where no family is held out.
    journal
        Keeps what became of each plan, if there is one.
    meter
        Counts the passes of `classifier`, if somebody does.
    """

    classifier: Classifier
    target: int
    x: Tensor
    y: Tensor
    sources: Tensor
    triggers: Sequence[Trigger]
    fpr: float = DEFAULT_FPR
    fitted_on: Change | None = None
    held_out: Sequence[HeldOut] = ()
    rounds: int = FOLDS
    journal: Journal | None = None
    meter: Meter | None = None

    @property
    def change(self) -> Change:
        """What plans are fitted on."""
        return self.fitted_on or self.triggers[0]

    def smaller(self) -> Bench:
        """With no more source images than suffice for channels, all others, and one fold.

        Where there is one plan, all that folds give is a promise.
        """
        keep = ~self.sources
        keep[self.sources.nonzero()[:ENOUGH_FOR_CHANNELS, 0]] = True
        x, y, sources = self.x[keep], self.y[keep], self.sources[keep]
        return replace(self, x=x, y=y, sources=sources, rounds=1)

    @cached_property
    def folds(self) -> tuple[Fold, ...]:
        rows = self.sources.nonzero()[:, 0]
        half = torch.arange(len(rows), device=rows.device) % FOLDS
        parts = [(part.others, part.triggers) for part in self.held_out]
        parts = parts or [(self.change, self.triggers)] * self.rounds
        return tuple(
            Fold(change, rows[half != k % FOLDS], self._judged(triggers, rows[half == k % FOLDS]))
            for k, (change, triggers) in enumerate(parts)
        )

    @cached_property
    def answered_target(self) -> tuple[Tensor, Tensor]:
        """Clean inputs [m, ...] of the target that the bare model answers so, and its logits.

        Not those of other classes that it mistakes for the target: some of them show what the
        trigger shows, their score is that of triggered inputs, and a flag mends their answer.
        """
        own = self.x[self.y == self.target]
        logits = self.classifier.logits(own)
        task = self.classifier.task
        rows = task.reached(task.predictions(logits), self.target)
        return own[rows], logits[rows]

    def judged(self) -> tuple[Judged, ...]:
        """Return all source inputs under all triggers."""
        return self._judged(self.triggers, self.sources.nonzero()[:, 0])

    def _judged(self, triggers: Sequence[Trigger], rows: Tensor) -> tuple[Judged, ...]:
        """Rows [n] of the clean set under the triggers.

        Each row under as many of them, in turn, as make `ENOUGH_JUDGED` judgements; under all where
        rows are few.
        """
        count = len(triggers)
        turns = min(count, math.ceil(ENOUGH_JUDGED / max(1, len(rows))))
        place = torch.arange(len(rows), device=rows.device)
        return tuple(
            Judged.of(self, trigger, rows[(place - index) % count < turns])
            for index, trigger in enumerate(triggers)
        )


@dataclass(frozen=True, eq=False)
class Judged:
    """Inputs x [n, ...] of the classes `own` [n] that get `trigger`, and what the bare model then
    answers: logits [n, K].
    """

    trigger: Trigger
    x: Tensor
    own: Tensor
    bare: Tensor

    @staticmethod
    @torch.no_grad()
    def of(bench: Bench, trigger: Trigger, rows: Tensor) -> Judged:
        x = bench.x[rows]
        return Judged(trigger, x, bench.y[rows], triggered(bench.classifier, trigger).logits(x))

    @torch.no_grad()
    def seen_by(self, corrected: Classifier, target: int) -> tuple[Tensor, Tensor]:
        """Return the corrected network's answers other than the target, and the guard's scores."""
        task = corrected.task
        after = triggered(corrected, self.trigger).logits(self.x)
        answers = task.predictions(task.without(after, target))
        return answers, shortfall(task, self.bare, after, target)


@dataclass(frozen=True, eq=False)
class Fold:
    """change, train : what to fit on, and on which rows of the clean set. judged .

    Others, with triggers to judge by.
    """

    change: Change
    train: Tensor
    judged: tuple[Judged, ...]


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
    """Fit on other images than those that `fold` judges by.

    The judgement stamps held-out images with every recovered trigger, not only with the one
    fitted on, or with those of a family that was not fitted on: a fine correction that merely
    memorises estimates fails on others.
    """
    part = bench.folds[fold]
    x = bench.x[part.train]
    corrections = fit_to(bench.classifier, part.change, x, plan, fit=fit)
    corrected = attach(bench.classifier, corrections)
    clean = clean_scores(bench, corrected)
    seen = [item.seen_by(corrected, bench.target) for item in part.judged]
    threshold = place_threshold(clean, torch.cat([score for _, score in seen]), bench.fpr)
    task = bench.classifier.task
    answers = [
        torch.where(_flagged(bench, item, score, threshold), answer, task.predictions(item.bare))
        for item, (answer, score) in zip(part.judged, seen, strict=True)
    ]
    own = [item.own for item in part.judged]
    return Outcome(
        sia=_mean([_share(task.correct(a, y)) for a, y in zip(answers, own, strict=True)]),
        asr=_mean([_share(task.reached(answer, bench.target)) for answer in answers]),
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
    """`fit_corrections` for clean inputs x [n, ...] with and without the trigger."""
    attacked = half_triggered(classifier, trigger)
    return fit_corrections(attacked, x, x, plan, fit=fit, progress=progress)


def choose_plan(
    bench: Bench, plans: Mapping[str, Plan], fit: str, progress: Progress = silent
) -> tuple[str, tuple[Trial, ...], Outcome]:
    """Return the name of the chosen plan, all trials, and its cross-validated outcome.

    Chosen is the coarsest (the first) whose score lies within one standard error of the best
    (L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3): all are judged
    on estimates, and a coarse correction forgives more of what the true trigger has else.
    """
    outcomes = {}
    for done, (name, plan) in enumerate(plans.items(), 1):
        outcomes[name] = _average(
            [_tried(bench, name, plan, fit, k) for k in range(len(bench.folds))]
        )
        progress("choosing where to correct", done, len(plans))
    scores = {name: outcome.score(bench.fpr) for name, outcome in outcomes.items()}
    best = max(scores, key=lambda name: scores[name])
    near = scores[best] - _standard_error(outcomes[best].sia, bench)
    chosen = next(name for name, score in scores.items() if score >= near)
    trials = tuple(
        Trial(name, outcome.sia, outcome.fpr, scores[name]) for name, outcome in outcomes.items()
    )
    return chosen, trials, outcomes[chosen]


def _tried(bench: Bench, name: str, plan: Plan, fit: str, fold: int) -> Outcome:
    """As `try_plan`, or as it was before the run was killed."""
    if bench.journal is None:
        return try_plan(bench, plan, fit, fold)

    def compute(_: Draft) -> Arrays:
        spent = Spent(bench.meter)
        outcome = np.array(astuple(try_plan(bench, plan, fit, fold)))
        return {"outcome": outcome, **spent.arrays()}

    arrays, again = bench.journal.step("plan", compute, bench.target, name, fit, fold)
    if again:
        Spent(bench.meter).resume(arrays)
    sia, asr, fpr = arrays["outcome"].tolist()
    return Outcome(sia, asr, fpr)


def calibrate(bench: Bench, corrections: Mapping[str, Correction]) -> Calibration:
    """Return the guard's threshold for corrections fitted on the whole clean set, and what it
    promises.

    Clean inputs of the target took no part in the fit (it uses source classes), so their scores
    are those of new inputs. They had a say in which plan was chosen, one of a handful.
    """
    corrected = attach(bench.classifier, corrections)
    scores = [item.seen_by(corrected, bench.target)[1] for item in bench.judged()]
    return Calibration.of(clean_scores(bench, corrected), torch.cat(scores), bench.fpr)


@torch.no_grad()
def clean_scores(bench: Bench, corrected: Classifier) -> Tensor:
    """Return the guard's scores of the clean inputs that the model rightly answers with the
    target.
    """
    x, bare = bench.answered_target
    return shortfall(bench.classifier.task, bare, corrected.logits(x), bench.target)


def _flagged(bench: Bench, item: Judged, score: Tensor, threshold: float) -> Tensor:
    task = bench.classifier.task
    return task.reached(task.predictions(item.bare), bench.target) & ~(score <= threshold)


def _standard_error(share: float, bench: Bench) -> float:
    """Return of a share of all triggered inputs that a plan is judged on."""
    count = sum(len(item.own) for fold in bench.folds for item in fold.judged)
    return math.sqrt(share * (1 - share) / max(1, count))


def _average(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        _mean([outcome.sia for outcome in outcomes]),
        _mean([outcome.asr for outcome in outcomes]),
        _mean([outcome.fpr for outcome in outcomes]),
    )


def _share(hits: Tensor) -> float:
    return float(hits.float().mean())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
