"""Why a network may not be called clean, whatever a search in it found."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from undoor.classifier import ENTRY, Classifier
from undoor.errors import BudgetEnded
from undoor.inversion.meter import Meter
from undoor.scan.report import Finding
from undoor.scrutiny import scrutinise

ACCEPT = "look at it, and accept it with --accept-graph if it is meant to be there"


def doubts(
    classifier: Classifier,
    searched: Classifier,
    x: Tensor,
    findings: Sequence[Finding],
    meter: Meter,
    *,
    accept_graph: bool,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return reasons against the verdict clean, and notes on what the user has accepted.

    Parameters
    ----------
    classifier, searched
        The network as it was opened, and after the search.
    x
        Clean inputs [N, ...].
    findings
        Their triggers are tried as well.
    meter
        What counts the passes; its budget may end.
    accept_graph
        Whether the user has looked at what the graph holds and accepts it.
    """
    triggers = [item.trigger for item in findings if item.trigger.site == ENTRY]
    try:
        found = scrutinise(
            classifier.counted(meter),
            x,
            triggered=[trigger(x[:: max(1, len(x) // 8)]) for trigger in triggers],
            later=searched.with_gain(classifier.gain),
        )
        # What was taken for an error of the network may have been the end of the budget.
        meter.require_left()
    except BudgetEnded:
        return (f"{meter.spent}: the network's graph was not looked at",), ()
    differ = tuple(item.sentence for item in found.disagreements)
    if accept_graph:
        return differ, tuple(f"accepted: {item.sentence}" for item in found.graph)
    return (*(f"{item.sentence}; {ACCEPT}" for item in found.graph), *differ), ()
