"""One step of a long run that is stored together with what it spent."""

from __future__ import annotations

from collections.abc import Callable

from undoor.inversion.meter import Meter, Spent
from undoor.journal import Arrays, Draft, Journal


def counted_step(
    journal: Journal | None,
    meter: Meter | None,
    name: str,
    compute: Callable[[], Arrays],
    *facts: object,
) -> Arrays:
    """Return the result of a step, from the journal where it is there already.

    What an earlier run spent on it is counted once more.

    Parameters
    ----------
    journal
        None where nothing is stored.
    meter
        What counts the passes.
    name, facts
        As of `Journal.step`.
    compute
        Returns the result.
    """
    if journal is None:
        return compute()

    def stored(_: Draft) -> Arrays:
        spent = Spent(meter)
        return {**compute(), **spent.arrays()}

    arrays, resumed = journal.step(name, stored, *facts)
    if resumed:
        Spent(meter).resume(arrays)
    return arrays
