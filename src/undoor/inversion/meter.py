"""What work may cost, and what it has cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from undoor.errors import BudgetEnded, UndoorError
from undoor.progress import PASSES, SECONDS, Progress, silent

SPENT = "spent"
# An input that goes forward alone; one that gradients are wanted of goes back as well and counts 1.
FORWARD_ALONE = 0.5


@dataclass(frozen=True)
class Budget:
    """At most this many sample passes (an image forward and backward) and seconds; None: any."""

    passes: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, budget: Self | None, max_seconds: float | None) -> Self:
        """Return the budget that a caller gave in one of two ways.

        An endless one where neither was.

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
            raise UndoorError(f"expected max_seconds above 0, got {max_seconds}")
        return cls(seconds=max_seconds)

    def less(self, passes: float, seconds: float) -> Budget:
        """Return what is left of it after so much was spent."""
        return Budget(
            passes=None if self.passes is None else max(0, int(self.passes - passes)),
            seconds=None if self.seconds is None else max(0.0, self.seconds - seconds),
        )


@dataclass(eq=False)
class Meter:
    """Counts sample passes, half a one where an image goes forward alone, and watches the clock.

    Every pass of a classifier that is `counted` by it comes by here first (`Classifier.counted`):
    a batch that would exceed the passes is not computed, and none begins after the seconds are
    over. Passes are thus never exceeded, seconds by one batch at most, with what is computed
    between it and the next. Once ended, a budget stays so.

    Attributes
    ----------
    budget
        What may be spent.
    passes
        What was spent, by earlier runs that this one goes on with, too.
    expected
        What the whole work is expected to spend, as far as somebody knows; 0 where nobody does.
    ended
        Whether the budget has kept a pass from being computed.
    """

    budget: Budget = field(default_factory=Budget)
    passes: float = 0.0
    expected: float = 0.0
    ended: bool = False
    started: float = field(default_factory=time.perf_counter)

    def __deepcopy__(self, memo: object) -> Self:
        """Return a copy of a network is counted by the same meter."""
        return self

    def before_pass(self, inputs: int) -> None:
        """Count a batch of inputs that is about to go through a network.

        Raises
        ------
        BudgetEnded
            The budget does not suffice for it; nothing is counted.
        """
        cost = inputs * (1.0 if torch.is_grad_enabled() else FORWARD_ALONE)
        most = self.budget.passes
        if most is not None and self.passes + cost > most:
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
            raise BudgetEnded(f"{self.spent}; give more (--max-passes, --max-seconds)")

    @property
    def spent(self) -> str:
        """What was spent of a budget that ended, in words."""
        return f"the budget ended after {self.passes:,.0f} sample passes and {self.seconds:.0f} s"

    def resume(self, passes: float, seconds: float) -> None:
        """Count what an earlier run has spent that was killed, or whose budget ended."""
        self.passes += passes
        self.started -= seconds

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at the speed so far; None where nobody knows."""
        if not self.passes or not self.expected:
            return None
        return max(0.0, self.expected - self.passes) * self.seconds / self.passes

    def watching(self, progress: Progress) -> Progress:
        """Return the same progress, which hears of passes and seconds as well.

        Work that reports to it ends where the seconds of the budget do, also where no network is
        run.
        """

        def update(stage: str, done: int, total: int, /) -> None:
            progress(stage, done, total)
            left = self.seconds_left
            if left is not None:
                progress(PASSES, round(self.passes), round(max(self.expected, self.passes)))
                progress(SECONDS, round(self.seconds), round(self.seconds + left))
            self.require_left()

        return update if progress is not silent or self.budget.seconds is not None else progress

    def unfinished(
        self, missing: Sequence[str], partly: Sequence[str], *, looked: bool
    ) -> str | None:
        """Return what the budget did not suffice for, in words; None where it sufficed.

        Parameters
        ----------
        missing, partly
            Families that were not searched, and not to the end.
        looked
            Whether what stood out got its second look.
        """
        left = []
        if missing:
            left.append(f"triggers of the families {', '.join(missing)} were not looked for")
        if partly:
            left.append(f"the searches of {', '.join(partly)} were cut short")
        if not looked:
            left.append("the second look at the classes that stood out was cut short")
        if not left:
            return None
        return f"{self.spent}: {'; '.join(left)}; give more"


class Spent:
    """What one step spends of a meter, so that it can be kept and counted again."""

    def __init__(self, meter: Meter | None) -> None:
        self.meter = meter or Meter()
        self.before = (self.meter.passes, self.meter.seconds)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Passes and seconds since the step began, wherever that was."""
        return {SPENT: np.subtract((self.meter.passes, self.meter.seconds), self.before)}

    def resume(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Count what `arrays` tell of an earlier run."""
        self.meter.resume(*map(float, arrays[SPENT][:2]))
