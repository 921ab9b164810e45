"""Nulls of families that the usual scans do not search."""

from __future__ import annotations

from dataclasses import replace

from undoor.families.calibration import Calibration, calibration_for
from undoor.families.registry import find_family
from undoor.vocabulary import MANY_CLASSES


def with_unsearched(learned: Calibration) -> Calibration:
    """Return a calibration of many classes with the nulls that it does not have, as they are.

    Such as those of families that are searched in tables.
    """
    if learned.scope.absolute:
        return learned
    known = calibration_for(MANY_CLASSES).nulls
    installed = {family: null for family, null in known.items() if find_family(family)}
    return replace(learned, nulls={**installed, **learned.nulls})
