"""What a scan may cost, and what it has cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPENT = "spent"


@dataclass(frozen=True)
class Budget:
    """At most this many sample passes (an image forward and backward) and seconds; None: any."""

    passes: int | None = None
    seconds: float | None = None


@dataclass
class Meter:
    """Counts sample passes, half a one where an image goes forward alone, and watches the clock.

    cuts : how many searches ended before their time, or were left out, as the budget had ended.
    """

    budget: Budget = field(default_factory=Budget)
    passes: float = 0.0
    cuts: int = 0
    started: float = field(default_factory=time.perf_counter)

    def spend(self, passes: float) -> None:
        self.passes += passes

    def cut(self) -> None:
        self.cuts += 1

    def resume(self, passes: float, seconds: float, cuts: float = 0) -> None:
        """Count what an earlier, killed run has spent, and what it had to cut."""
        self.passes += passes
        self.started -= seconds
        self.cuts += int(cuts)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def exhausted(self) -> bool:
        most_passes, most_seconds = self.budget.passes, self.budget.seconds
        return (most_passes is not None and self.passes >= most_passes) or (
            most_seconds is not None and self.seconds >= most_seconds
        )

    def unfinished(
        self, missing: Sequence[str], partly: Sequence[str], *, looked: bool
    ) -> str | None:
        """What the budget did not suffice for, in words; None where it sufficed.

        missing, partly : families that were not searched, and not to the end.
        looked : whether what stood out got its second look.
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
        return (
            f"the budget ended after {self.passes:,.0f} sample passes and {self.seconds:.0f} s: "
            f"{'; '.join(left)}; give more"
        )


class Spent:
    """What one step spends of a meter, so that it can be kept and counted again."""

    def __init__(self, meter: Meter | None) -> None:
        self.meter = meter or Meter()
        self.before = (self.meter.passes, self.meter.seconds, self.meter.cuts)

    def spend(self, passes: float) -> None:
        self.meter.spend(passes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Passes, seconds and cuts since the step began, wherever that was."""
        now = (self.meter.passes, self.meter.seconds, self.meter.cuts)
        return {SPENT: np.subtract(now, self.before)}

    def resume(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Count what `arrays` tell of an earlier, killed run."""
        self.meter.resume(*map(float, arrays[SPENT]))
