"""What work may cost, and what it has cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from undoor.errors import BudgetEnded, UndoorError
from undoor.inversion.recent_speed import RecentSpeed
from undoor.kinds import require_fields
from undoor.progress import PASSES, SECONDS, Progress, silent

SPENT = "spent"
# An input that goes forward alone; one that gradients are wanted of goes back as well and counts 1.
FORWARD_ALONE = 0.5


@dataclass(frozen=True)
class Budget:
    """How much work may take.

    Attributes
    ----------
    passes
        At most so many sample passes (an image forward and backward); None does not limit them.
    seconds
        At most so many seconds; None does not limit them.
    """

    passes: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        require_fields(self)
        for name, limit in vars(self).items():
            # Written so that what is no number is refused.
            if limit is not None and not limit >= 0:
                raise UndoorError(
                    f"{name}: expected a limit of at least 0, got {limit}; give None for no limit"
                )

    @classmethod
    def of(cls, budget: Self | None, max_seconds: float | None) -> Self:
        """Return the budget that a caller gave in one of two ways; no limit where neither was.

        Raises
        ------
        UndoorError
            Both were given, or the seconds are not above 0.
        """
        if max_seconds is None:
            return budget or cls()
        if budget is not None:
            raise UndoorError(
                "expected a budget or max_seconds, got both; give Budget(passes=..., seconds=...)"
            )
        if not max_seconds > 0:
            raise UndoorError(
                f"expected max_seconds above 0, got {max_seconds}; leave it out for no limit"
            )
        return cls(seconds=max_seconds)

    def less(self, passes: float, seconds: float) -> Budget:
        """Return the budget left after `passes` and `seconds` were spent."""
        return Budget(
            passes=None if self.passes is None else max(0, int(self.passes - passes)),
            seconds=None if self.seconds is None else max(0.0, self.seconds - seconds),
        )


@dataclass(eq=False)
class Meter:
    """Counts sample passes, half a one where an image goes forward alone, and watches the clock.

    Every pass of a classifier that is `counted` by it is counted here first (`Classifier.counted`):
    a batch that would exceed the passes is not computed, and none begins after the seconds are
    over. Passes are thus never exceeded, seconds by one batch at most, with what is computed
    between it and the next. Once ended, a budget stays so.

    Attributes
    ----------
    budget
        What may be spent.
    passes
        What was spent, also by earlier runs that this one resumes.
    expected
        What the whole work is expected to spend; 0 where that is not known.
    ended
        Whether a pass was not computed because of the budget.
    started
        When the work began, as of `time.perf_counter`; earlier by what resumed runs took.
    speed
        How fast the passes go now.
    """

    budget: Budget = field(default_factory=Budget)
    passes: float = 0.0
    expected: float = 0.0
    ended: bool = False
    started: float = field(default_factory=time.perf_counter)
    speed: RecentSpeed = field(init=False)

    def __post_init__(self) -> None:
        self.speed = RecentSpeed(self.passes)

    def __deepcopy__(self, memo: object) -> Self:
        """Return the meter itself: a copy of a network is counted by the same meter."""
        return self

    def before_pass(self, inputs: int) -> None:
        """Count a batch of inputs that is about to go through a network.

        Raises
        ------
        BudgetEnded
            The budget does not suffice for it; nothing is counted.
        """
        cost = inputs * (1.0 if torch.is_grad_enabled() else FORWARD_ALONE)
        limit = self.budget.passes
        if limit is not None and self.passes + cost > limit:
            self.ended = True
        self.require_left()
        self.passes += cost

    def require_left(self) -> None:
        """Raise where the budget has ended.

        Raises
        ------
        BudgetEnded
            What was spent, and what to do.
        """
        if self.budget.seconds is not None and self.seconds >= self.budget.seconds:
            self.ended = True
        if self.ended:
            raise BudgetEnded(self.passes, self.seconds)

    def resume(self, passes: float, seconds: float) -> None:
        """Count what an earlier run spent that was killed, or whose budget ended."""
        self.passes += passes
        self.started -= seconds
        self.speed.skip(passes)

    @property
    def seconds(self) -> float:
        """Seconds since the work began, those of resumed runs included."""
        return time.perf_counter() - self.started

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest will take at the speed of the last minute; None if not known.

        Where less than a second was measured, it is the speed so far.
        """
        if not self.passes or not self.expected:
            return None
        per_pass = self.speed.seconds_per_pass or self.seconds / self.passes
        return max(0.0, self.expected - self.passes) * per_pass

    def watching(self, progress: Progress) -> Progress:
        """Return a progress callback that reports passes and seconds as well.

        Work that calls it ends with the seconds of the budget, also where no network is run.
        """

        def update(stage: str, done: int, total: int, /) -> None:
            progress(stage, done, total)
            self.speed.note(self.passes)
            left = self.seconds_left
            if left is not None:
                progress(PASSES, round(self.passes), round(max(self.expected, self.passes)))
                progress(SECONDS, round(self.seconds), round(self.seconds + left))
            self.require_left()

        return update if progress is not silent or self.budget.seconds is not None else progress


class Spent:
    """What one step spends of a meter, so that it can be stored and counted again."""

    def __init__(self, meter: Meter | None) -> None:
        self.meter = meter or Meter()
        self.before = (self.meter.passes, self.meter.seconds)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return passes and seconds since the step began, those of resumed runs included."""
        return {SPENT: np.subtract((self.meter.passes, self.meter.seconds), self.before)}

    def resume(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Count what an earlier run spent, as `arrays` of it."""
        self.meter.resume(*map(float, arrays[SPENT][:2]))
