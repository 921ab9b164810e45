"""A plan of corrections that was tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """One plan tried in the cross-validation.

    Attributes
    ----------
    name
        Of the plan.
    sia
        Robust accuracy (the paper's SIA) with the guard in place, on held-out images under triggers
        that the plan was not fitted on; None for a plan tried on inputs flagged in operation, which
        have no labels.
    fpr
        False-positive rate on clean images of the target class.
    score
        What plans were compared by.
    """

    name: str
    sia: float | None
    fpr: float
    score: float
