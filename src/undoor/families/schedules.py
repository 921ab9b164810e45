"""Schedules of searches, and the effort that a trigger family gets."""

from __future__ import annotations

from dataclasses import dataclass, replace

TRIAL_STEPS = 40


@dataclass(frozen=True)
class Schedule:
    """How candidates are optimised.

    Attributes
    ----------
    steps
        Of Adam.
    batch
        Images per candidate and step. Few images make noisy steps, which leave the basins of
        universal adversarial patterns, and cost less.
    success
        Attack success rate, in [0, 1], at which a candidate counts as working and its size may be
        pressed down.
    weight
        Of the size in the loss at the start.
    rise, fall
        The weight rises by `rise` after each step with enough success and falls by `fall` after any
        other (the annealing of Wang et al., S&P 2019, made gentle: a steep rise ends in universal
        adversarial patterns instead of the trigger).
    trial, keep
        After `trial` steps, the `keep` smallest candidates of each target are continued alone; 0
        for no trial.
    patience
        Steps without a candidate whose smallest size shrinks by 1 % before stopping.
    """

    steps: int = 360
    batch: int = 4
    success: float = 0.9
    weight: float = 0.003
    rise: float = 1.05
    fall: float = 1.1
    trial: int = 0
    keep: int = 1
    patience: int = 60

    def passes(self, each: int, targets: int) -> float:
        """Return the sample passes of `each` candidates per target, where patience does not end.

        >>> Schedule(steps=10, batch=4, trial=4, keep=2).passes(3, 5)
        480.0
        """
        first = min(self.trial or self.steps, self.steps)
        later = (self.steps - first) * min(self.keep, each)
        return float(self.batch * targets * (first * each + later))


@dataclass(frozen=True)
class Effort:
    """How much work a family gets: enough to see which classes stand out.

    Attributes
    ----------
    starts
        Per class.
    schedule
        Of each start.
    """

    starts: int
    schedule: Schedule

    def trial(self) -> Schedule:
        """Return the schedule of one start per class, where many classes are tried."""
        return replace(self.schedule, steps=TRIAL_STEPS, batch=2, trial=0)

    def rest(self) -> Schedule:
        """Return the schedule that the trial left, for those of many classes that are followed."""
        return replace(self.schedule, steps=self.schedule.steps - TRIAL_STEPS, trial=0)

    def lone(self) -> Schedule:
        """Return the schedule of one start for one class, which is not compared with others."""
        return replace(self.schedule, batch=8, steps=self.schedule.steps + 40, trial=0)

    def last(self) -> Schedule:
        """Return the schedule that grows a suspect's trigger until it works on most images."""
        return Schedule(steps=80, batch=12, success=0.95, weight=self.schedule.weight / 10)
