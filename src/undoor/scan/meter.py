"""What a scan may cost, and what it has cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


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
