"""What plans are tried on: folds of the clean images, and the triggers they are judged with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from undoor.align.estimates import HeldOut
from undoor.align.guard_score import shortfall
from undoor.classifier import Classifier
from undoor.inversion.meter import Meter
from undoor.inversion.triggered import Change, triggered
from undoor.journal import Journal
from undoor.triggers import Trigger
from undoor.vocabulary import DEFAULT_FPR

# Parts of the images; as a rule there are as many folds, or one for each family that is held out in
# turn.
FOLDS = 2
# Source images that suffice for corrections per channel: on nine targets that this was tried on,
# 100 to 300 gave the same mean SIA.
ENOUGH_FOR_CHANNELS = 150
# Triggered inputs that a plan is judged on in each fold, where there are so many: more of them add
# little, and several triggers share them.
ENOUGH_JUDGED = 400


@dataclass(frozen=True, eq=False)
class CrossValidation:
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
        False-positive rate on clean images predicted as the target that is allowed, in (0, 1).
    fitted_on
        What plans are fitted on in the place of the first trigger.
    held_out
        See `Estimates`; where there are some, each fold judges by one of these families a plan
        fitted on the others, since a fine plan learns by heart what it is fitted on, and the true
        trigger is none of it.
    rounds
        How many folds there are where no family is held out.
    journal
        Where the result of each plan is stored, if anywhere.
    meter
        Counts the sample passes of `classifier`, if given.
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

    def smaller(self) -> CrossValidation:
        """Reduce it to one fold and at most `ENOUGH_FOR_CHANNELS` source images.

        Where there is one plan, folds choose nothing.
        """
        keep = ~self.sources
        keep[self.sources.nonzero()[:ENOUGH_FOR_CHANNELS, 0]] = True
        x, y, sources = self.x[keep], self.y[keep], self.sources[keep]
        return replace(self, x=x, y=y, sources=sources, rounds=1)

    @cached_property
    def folds(self) -> tuple[Fold, ...]:
        """The folds: one for each family held out, or else `rounds` of them."""
        rows = self.sources.nonzero()[:, 0]
        half = torch.arange(len(rows), device=rows.device) % FOLDS
        parts = [(part.others, part.triggers) for part in self.held_out]
        parts = parts or [(self.change, self.triggers)] * self.rounds
        return tuple(
            Fold(change, rows[half != k % FOLDS], self._judged(triggers, rows[half == k % FOLDS]))
            for k, (change, triggers) in enumerate(parts)
        )

    @cached_property
    def predicted_as_target(self) -> tuple[Tensor, Tensor]:
        """Clean inputs [m, ...] of the target that the bare model predicts as it, and its logits.

        Not those of other classes that it mistakes for the target: some of them show what the
        trigger shows, their score is that of triggered inputs, and a flag corrects the prediction.
        """
        task = self.classifier.task
        of_target = self.x[task.reached(self.y, self.target)]
        logits = self.classifier.logits(of_target)
        rows = task.reached(task.predictions(logits), self.target)
        return of_target[rows], logits[rows]

    def judged(self) -> tuple[JudgedInputs, ...]:
        """Return all source inputs under all triggers."""
        return self._judged(self.triggers, self.sources.nonzero()[:, 0])

    def _judged(self, triggers: Sequence[Trigger], rows: Tensor) -> tuple[JudgedInputs, ...]:
        """Return rows [n] of the clean set under the triggers.

        Each row under as many of them, in turn, as make `ENOUGH_JUDGED` judgements; under all where
        rows are few.
        """
        count = len(triggers)
        turns = min(count, math.ceil(ENOUGH_JUDGED / max(1, len(rows))))
        place = torch.arange(len(rows), device=rows.device)
        return tuple(
            JudgedInputs.of(self, trigger, rows[(place - index) % count < turns])
            for index, trigger in enumerate(triggers)
        )


@dataclass(frozen=True, eq=False)
class JudgedInputs:
    """Triggered inputs that a plan is judged on.

    Attributes
    ----------
    trigger
        What is put on the inputs.
    x
        Clean inputs [n, ...].
    labels
        Their classes [n].
    bare
        Logits [n, K] of the uncorrected model for the triggered inputs.
    """

    trigger: Trigger
    x: Tensor
    labels: Tensor
    bare: Tensor

    @staticmethod
    @torch.no_grad()
    def of(validation: CrossValidation, trigger: Trigger, rows: Tensor) -> JudgedInputs:
        """Put a trigger on the rows [n] of the clean set."""
        x = validation.x[rows]
        return JudgedInputs(
            trigger, x, validation.y[rows], triggered(validation.classifier, trigger).logits(x)
        )

    @torch.no_grad()
    def seen_by(self, corrected: Classifier, target: int) -> tuple[Tensor, Tensor]:
        """Return the predictions of a corrected network, and the guard's scores.

        Parameters
        ----------
        corrected
            The network with corrections.
        target
            The class that may not be predicted.

        Returns
        -------
        tuple of Tensor
            Predictions [n] other than the target, and scores [n].
        """
        task = corrected.task
        after = triggered(corrected, self.trigger).logits(self.x)
        answers = task.predictions(task.without(after, target))
        return answers, shortfall(task, self.bare, after, target)


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold of a cross-validation.

    Attributes
    ----------
    change
        What corrections are fitted on.
    train
        The rows of the clean set that they are fitted on.
    judged
        Other rows, with the triggers that the plan is judged with.
    """

    change: Change
    train: Tensor
    judged: tuple[JudgedInputs, ...]
