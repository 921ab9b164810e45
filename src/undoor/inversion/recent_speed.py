"""How fast work goes now, which is not how fast it went on the whole: a machine has other loads."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

# Speed is measured over about so many seconds, once so many have passed.
WINDOW: Final = 60.0
SHORTEST: Final = 1.0


class RecentSpeed:
    """Measures the seconds per sample pass over the last minute.

    Parameters
    ----------
    passes
        Sample passes that were counted before.
    """

    def __init__(self, passes: float = 0.0) -> None:
        self.marks: deque[tuple[float, float]] = deque([(time.perf_counter(), passes)])

    def note(self, passes: float) -> None:
        """Note how many passes are counted by now."""
        now = time.perf_counter()
        self.marks.append((now, passes))
        # The first that is left lies a window back or more, if the work has gone on so long.
        while len(self.marks) > 2 and self.marks[1][0] <= now - WINDOW:
            self.marks.popleft()

    def skip(self, passes: float) -> None:
        """Leave out passes that an earlier run made: they took no time of this one."""
        self.marks = deque((seconds, before + passes) for seconds, before in self.marks)

    @property
    def seconds_per_pass(self) -> float | None:
        """Seconds per sample pass; None where too little was measured."""
        (began, before), (ended, after) = self.marks[0], self.marks[-1]
        if ended - began < SHORTEST or after <= before:
            return None
        return (ended - began) / (after - before)
