"""Searches for the largest margin of triggers of one fixed size."""

from __future__ import annotations

from dataclasses import dataclass, replace

# A margin, in standardised logits, beyond which an input counts no more, so that those count which
# are hard to move.
ENOUGH = 15.0
# Of many classes, each gets this share of the steps, from all starts, before the promising ones are
# followed.
TRIAL = 1 / 5
# Inputs per candidate and step, steps, starts that are followed after a trial, and held-out inputs
# where a task searches at one size alone (`AtSize.alone`).
TOGETHER, STEPS, FOLLOWED, TRIED = 10, 40, 2, 64


@dataclass(frozen=True)
class AtSize:
    """How the largest margin of a trigger of one size is searched for.

    The smallest trigger of a class says where its margin crosses zero. Natural triggers cross it,
    too, but stop there, and a planted one goes on: at a size at which natural triggers hardly work
    the margin of a planted one is many times that of clean inputs.

    Attributes
    ----------
    size
        In the family's unit, at 3 x 32 x 32 pixels.
    starts
        Per class, from noise.
    probes
        Further starts per class, from the clearest of the family's probes, if it has any.
    steps
        Of Adam.
    batch
        Images per candidate and step.
    tried
        Held-out images that the margin is measured on.
    pace
        Times the step size of the bank.
    trials
        Starts per class that get a short trial, of which the clearest are followed; of tasks that
        search at one size alone. 0 where all starts are followed.
    relative, spread
        How much of the median margin of the other classes is taken off that of a class, and how
        much their spread counts, at least 0 (`undoor.scan.statistics.margin_scores`). Chosen on the
        models that the nulls are learned from.
    """

    size: float
    starts: int = 1
    probes: int = 0
    steps: int = 40
    batch: int = 4
    tried: int = 16
    pace: float = 2.0
    relative: float = 1.0
    spread: float = 1.0
    trials: int = 0

    def alone(self) -> AtSize:
        """Return the search for a task that has no other one (`undoor.tasks.task.Task`).

        Its margins say what many inputs have in common, which two or four of them do not show.

        >>> plan = AtSize(36.0, starts=9, steps=30, batch=2, trials=25).alone()
        >>> plan.starts, plan.steps, plan.batch, plan.tried, plan.trials
        (2, 40, 10, 64, 25)
        """
        return replace(
            self,
            starts=FOLLOWED if self.trials else 1,
            steps=max(self.steps, STEPS) if self.probes == 0 else self.steps,
            batch=max(self.batch, TOGETHER),
            tried=max(self.tried, TRIED),
        )

    def trial(self) -> AtSize:
        """Return the short search that each of many classes gets."""
        return replace(
            self,
            steps=max(1, round(TRIAL * self.steps)),
            tried=self.tried // 2,
        )

    def passes(self, classes: int) -> float:
        """Return the sample passes of a search for so many classes.

        Inputs that go forward alone count half; the margin is measured twice.

        >>> AtSize(1.0, steps=10, batch=4, tried=8).passes(5)
        240.0
        """
        followed = (self.starts + self.probes) * (self.steps * self.batch + self.tried)
        first = self.trial()
        tried = self.trials * (first.steps * first.batch + first.tried)
        return float(classes * (followed + tried))
