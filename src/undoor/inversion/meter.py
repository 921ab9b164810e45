"""What a scan may cost, and what it has cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
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
    """Counts sample passes, half a one where an image goes forward alone, and watches the clock."""

    budget: Budget = field(default_factory=Budget)
    passes: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def spend(self, passes: float) -> None:
        self.passes += passes

    def resume(self, passes: float, seconds: float) -> None:
        """Count what an earlier, killed run has spent."""
        self.passes += passes
        self.started -= seconds

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def exhausted(self) -> bool:
        most_passes, most_seconds = self.budget.passes, self.budget.seconds
        return (most_passes is not None and self.passes >= most_passes) or (
            most_seconds is not None and self.seconds >= most_seconds
        )


class Spent:
    """What one step spends of a meter, so that it can be kept and counted again."""

    def __init__(self, meter: Meter | None) -> None:
        self.meter = meter or Meter()
        self.before = (self.meter.passes, self.meter.seconds)

    def spend(self, passes: float) -> None:
        self.meter.spend(passes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Passes and seconds since the step began, wherever that was."""
        passes, seconds = self.before
        return {SPENT: np.array([self.meter.passes - passes, self.meter.seconds - seconds])}

    def resume(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Count what `arrays` tell of an earlier, killed run."""
        self.meter.resume(*map(float, arrays[SPENT]))
