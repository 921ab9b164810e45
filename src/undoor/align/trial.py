"""A plan of corrections that was tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """One plan tried in the cross-validation.

    Guarded SIA on held-out images under triggers that it was not fitted on, FPR on clean inputs of
    the target, and the score that chose. Inputs flagged in operation have no labels: no SIA is
    known of a plan tried on them.
    """

    name: str
    sia: float | None
    fpr: float
    score: float
