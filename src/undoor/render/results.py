"""The input of every report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from undoor.render.subject import Subject
from undoor.scan.report import ScanReport

if TYPE_CHECKING:
    from undoor.align.unit_activations import UnitActivations
    from undoor.clean_set import CleanSet
    from undoor.evaluate import Evaluation
    from undoor.repair import Repair


@dataclass(frozen=True, eq=False)
class Results:
    """The results on one model; what is None is left out.

    Attributes
    ----------
    examples
        Clean inputs on which triggers are shown.
    units
        The most moved units of each repaired target.
    """

    scan: ScanReport
    subject: Subject
    repair: Repair | None = None
    evaluation: Evaluation | None = None
    examples: CleanSet | None = None
    units: Mapping[int, Sequence[UnitActivations]] = field(default_factory=dict)
