"""What the inputs of a result are called: its space has the word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from undoor.noun import INPUT, Noun
from undoor.scan.report import ScanReport
from undoor.spaces.registry import find_space, space_of

if TYPE_CHECKING:
    from undoor.repair import Repair


def noun_of(result: ScanReport | Repair) -> Noun:
    """Return what inputs of the model are called that was scanned or repaired.

    They are called inputs where their space is not known: in reports of older versions, and where
    the package that adds it is not installed.
    """
    identity = result.identity
    if isinstance(result, ScanReport):
        name = result.coverage.space
    else:
        of_shape = space_of(result.contract.input_shape).name
        name = ((identity and identity.preprocessing) or {}).get("space") or of_shape
    space = None if name is None else find_space(name)
    return INPUT if space is None else space.noun
