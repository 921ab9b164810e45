"""Why a network may not be called clean, whatever a search in it found."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from undoor.classifier import ENTRY, Classifier
from undoor.errors import BudgetEnded
from undoor.inversion.meter import Meter
from undoor.scan.reason import Reason, SpentFacts
from undoor.scan.report import Finding
from undoor.scrutiny import scrutinise
from undoor.vocabulary import (
    ACCEPTED_GRAPH,
    GRAPH_NOT_READ,
    ODD_GRAPH,
    RUNS_DISAGREE,
    ReasonCode,
)


def doubts(
    classifier: Classifier,
    searched: Classifier,
    x: Tensor,
    findings: Sequence[Finding],
    meter: Meter,
    *,
    accept_graph: bool,
) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
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
        spent = SpentFacts(round(meter.passes), meter.seconds)
        return (Reason(GRAPH_NOT_READ, spent),), ()
    differ = tuple(Reason(RUNS_DISAGREE, item) for item in found.disagreements)
    code: ReasonCode = ACCEPTED_GRAPH if accept_graph else ODD_GRAPH
    odd = tuple(Reason(code, item) for item in found.graph)
    return (differ, odd) if accept_graph else ((*odd, *differ), ())
