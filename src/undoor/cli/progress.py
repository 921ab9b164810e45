"""Progress on stderr: bars on a terminal, at most one line per minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from undoor.cli.console import say, stderr
from undoor.progress import FAMILIES, PASSES, SECONDS
from undoor.progress import Progress as Callback
from undoor.render.text import plain

EVERY: Final = 60.0
MINUTE: Final = 60
HOUR: Final = 3600


@contextmanager
def bars() -> Iterator[Callback]:
    """Show progress on stderr: one bar per stage on a terminal, lines elsewhere."""
    console = stderr()
    if not console.is_terminal:
        yield Lines().update
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # What others print is taken care of; see undoor.cli.streams.
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage == SECONDS:  # Each bar has its own time left.
                return
            if stage not in tasks:
                tasks[stage] = progress.add_task(plain(stage), total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield update


class Lines:
    """Progress as lines: one at the beginning, then at most one per minute."""

    def __init__(
        self,
        write: Callable[[str], None] = say,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.write, self.clock = write, clock
        self.stage = ""
        self.known: dict[str, tuple[int, int]] = {}
        self.last: float | None = None

    def update(self, stage: str, done: int, total: int) -> None:
        """Take a report of progress, as `undoor.progress.Progress`."""
        self.known[stage] = (done, total)
        if stage in (FAMILIES, PASSES, SECONDS):
            return
        self.stage = stage
        now = self.clock()
        if self.last is not None and now - self.last < EVERY:
            return
        self.last = now
        self.write(self.line())

    def line(self) -> str:
        """Return the progress of the whole where it is known, else that of the stage."""
        parts = [plain(self.stage)]
        if FAMILIES in self.known:
            done, total = self.known[FAMILIES]
            parts.append(f"family {min(done + 1, total)} of {total}")
        done, total = self.known.get(PASSES, self.known[self.stage])
        if done and total:
            parts.append(f"{done / total:.0%} done")
        if SECONDS in self.known:
            done, total = self.known[SECONDS]
            parts.append(f"{duration(total - done)} left")
        return ", ".join(parts) if len(parts) > 1 else f"{parts[0]} ..."


def duration(seconds: float) -> str:
    """Return about how long this is, in the unit that a reader would choose.

    >>> duration(20), duration(200), duration(9000)
    ('less than a minute', 'about 3 minutes', 'about 2.5 hours')
    """
    if seconds < MINUTE:
        return "less than a minute"
    if seconds < 2 * HOUR:
        minutes = round(seconds / MINUTE)
        return "about 1 minute" if minutes == 1 else f"about {minutes} minutes"
    return f"about {seconds / HOUR:.1f} hours"
