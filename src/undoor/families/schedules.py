"""How much work a search gets: data of a trigger family."""

from __future__ import annotations

from dataclasses import dataclass, replace

TRIAL_STEPS = 40


@dataclass(frozen=True)
class Schedule:
    """How candidates are optimised.

    steps : of Adam; batch : images a candidate and step. Few images make noisy steps, which leave
        the basins of universal adversarial patterns, and cost less.
    success : ASR at which a candidate counts as working and its size may be pressed down.
    weight : of the size in the loss at the start; it rises by `rise` after each step with enough
        success and falls by `fall` after any other (the annealing of Wang et al., S&P 2019, made
        gentle: a steep rise ends in universal adversarial patterns instead of the trigger).
    trial, keep : after `trial` steps, the `keep` smallest candidates of each target go on alone.
    patience : steps without a candidate whose best size shrinks by 1 % before stopping.
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
        """Sample passes of `each` candidates for each of `targets`, where patience does not end.

        >>> Schedule(steps=10, batch=4, trial=4, keep=2).passes(3, 5)
        480.0
        """
        first = min(self.trial or self.steps, self.steps)
        later = (self.steps - first) * min(self.keep, each)
        return float(self.batch * targets * (first * each + later))


@dataclass(frozen=True)
class Effort:
    """Starts per class, and the schedule of each: enough to see which classes stand out."""

    starts: int
    schedule: Schedule

    def trial(self) -> Schedule:
        """For one start of every one of many classes: enough to see which deserve the rest."""
        return replace(self.schedule, steps=TRIAL_STEPS, batch=2, trial=0)

    def rest(self) -> Schedule:
        """For those of many classes that are followed: what the trial left."""
        return replace(self.schedule, steps=self.schedule.steps - TRIAL_STEPS, trial=0)

    def lone(self) -> Schedule:
        """For one start for one class, where the estimate itself is wanted and no comparison."""
        return replace(self.schedule, batch=8, steps=self.schedule.steps + 40, trial=0)

    def last(self) -> Schedule:
        """For a suspect's trigger, from the best estimate: until it works on nearly all images."""
        return Schedule(steps=80, batch=12, success=0.95, weight=self.schedule.weight / 10)
