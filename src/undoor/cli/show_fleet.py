"""A fleet as a table: while it works, and at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from undoor.cli.console import say, stderr
from undoor.cli.show import COLOURS
from undoor.cli.tables import table_of
from undoor.render.sanitise import shortened
from undoor.render.text import listing, p_value, plain

if TYPE_CHECKING:
    from undoor.fleet.entry import FleetEntry, Target
    from undoor.fleet.fleet import Fleet

NAMED_TARGETS = 3
MAX_REASON = 160
MAX_NAME = 40
# Lines of a terminal that are no models.
FRAME = 7
# What is shown first while there is not room for all.
ORDER = ("running", "failed", "backdoored", "inconclusive", "clean", "waiting")


def show_fleet(console: Console, fleet: Fleet) -> None:
    """Print every model with its verdict, and how many there are of each."""
    console.print(table_of_models(fleet.entries))
    console.print(counts_line(fleet.counts))


def table_of_models(entries: Sequence[FleetEntry], title: str = "") -> Table:
    """Return the table of some models."""
    table = table_of("model", "verdict", "targets", "why", title=title)
    for entry in entries:
        word = entry.verdict or entry.state
        colour = COLOURS.get(word, "red" if word == "failed" else "dim")
        table.add_row(
            Text(plain(entry.name)),
            Text(word, style=colour),
            Text(targets_text(entry)),
            Text(reason_text(entry)),
        )
    return table


def targets_text(entry: FleetEntry) -> str:
    """Return the suspected targets with family and p-value."""
    named = (
        f"{_class(item)} ({plain(item.family)}, p = {p_value(item.p_value)})"
        for item in entry.targets
    )
    return listing(named, NAMED_TARGETS)


def _class(item: Target) -> str:
    """Return number and name of a class; the number alone where it has no other name."""
    number = str(item.target)
    return number if item.class_name in ("", number) else f"{number} {plain(item.class_name)}"


def reason_text(entry: FleetEntry) -> str:
    """Return why a model has no result or its verdict, in one line."""
    if entry.problem is not None:
        return f"{shortened(entry.problem.message, MAX_REASON)}; {plain(entry.problem.what_to_do)}"
    shown = entry.verdict == "inconclusive" and entry.reasons
    return shortened(entry.reasons[0], MAX_REASON) if shown else ""


def counts_line(counts: dict[str, int]) -> str:
    """Return how many models there are of each kind.

    >>> counts_line({"backdoored": 1, "clean": 2, "failed": 0})
    '3 models: 1 backdoored, 2 clean'
    """
    total = sum(counts.values())
    parts = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{total} model{'' if total == 1 else 's'}: {parts or 'none'}"


@contextmanager
def watched(entries: dict[str, FleetEntry]) -> Iterator[Callable[[FleetEntry], None]]:
    """Show the entries on stderr: a table on a terminal, a line for each result elsewhere.

    Yields
    ------
    A function to call with each entry that has changed, after it is in `entries`.
    """
    console = stderr()
    if not console.is_terminal:
        yield lambda entry: _line(entry, entries)
        return
    with Live(
        console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as live:
        yield lambda _: live.update(_screen(entries, console.height))


def _line(entry: FleetEntry, entries: dict[str, FleetEntry]) -> None:
    if entry.state in ("finished", "failed"):
        done = sum(e.state in ("finished", "failed") for e in entries.values())
        more = targets_text(entry) or reason_text(entry)
        say(
            f"{done} of {len(entries)}: {plain(entry.name)}: {entry.verdict or entry.state}"
            + (f": {more}" if more else "")
        )


def _screen(entries: dict[str, FleetEntry], height: int) -> Table:
    """Return as much of the table as a terminal of this height shows, what matters first."""
    order = sorted(entries.values(), key=lambda e: ORDER.index(e.verdict or e.state))
    room = max(3, height - FRAME)
    left = len(order) - room
    counts: dict[str, int] = {}
    for entry in entries.values():
        word = entry.verdict or entry.state
        counts[word] = counts.get(word, 0) + 1
    title = counts_line(counts) + (f" ({left} not shown)" if left > 0 else "")
    table = table_of_models(order[:room], title)
    for column in table.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    # Names and verdicts in full; the rest as far as there is room.
    table.expand, table.columns[0].max_width = True, MAX_NAME
    table.columns[2].ratio = table.columns[3].ratio = 1
    return table
