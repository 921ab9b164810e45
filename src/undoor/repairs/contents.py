"""The fields of a repair: the data that its file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from undoor.align.guard_threshold import GuardThreshold
from undoor.align.replaced_cells import ReplacedCells
from undoor.align.transform import Correction
from undoor.align.trial import Trial
from undoor.contract import Contract
from undoor.identity.model import ModelIdentity
from undoor.repairs.adaptation import Adaptation
from undoor.triggers import Trigger
from undoor.vocabulary import Granularity, Verdict


@dataclass(frozen=True)
class SiteChoice:
    """A corrected site.

    Attributes
    ----------
    extent
        The longer side of its map.
    granularity
        Whether it is corrected per channel or per position.
    moved
        How far the recovered trigger (or the flagged inputs, if adapted) moves its channels on
        average, in clean standard deviations.
    """

    name: str
    extent: int
    granularity: Granularity
    moved: float


@dataclass(frozen=True, eq=False)
class TargetRepair:
    """The corrections for one target class.

    Attributes
    ----------
    calibration
        The score above which the guard flags, and the scores that it was set on.
    asr, sia, fpr
        Of the guarded pair, cross-validated on the clean set with recovered triggers.
    adapted
        The refit on inputs seen in operation; where the corrections are fitted on such inputs,
        asr is the share of held-out ones that would still be predicted as the target, and sia is
        unknown, since they have no labels.
    quick
        Made with the scan's trigger alone, without a choice between plans.
    cells
        Of a black box, the cells that are replaced; there are no corrections then.
    """

    target: int
    sources: tuple[int, ...]
    trigger: Trigger
    corrections: Mapping[str, Correction]
    calibration: GuardThreshold
    chosen: str
    sites: tuple[SiteChoice, ...]
    trials: tuple[Trial, ...]
    asr: float
    sia: float | None
    fpr: float
    adapted: Adaptation | None = None
    quick: bool = False
    cells: ReplacedCells | None = None

    @property
    def threshold(self) -> float:
        """The score above which the guard flags; see `undoor.align.guard_score.shortfall`."""
        return self.calibration.threshold

    def to_json(self) -> dict[str, Any]:
        """Return the target as it stands in the JSON document of a repair."""
        return {
            "target": self.target,
            "sources": list(self.sources),
            "threshold": self.threshold,
            "calibration": self.calibration.to_json()
            | {
                "resolution": self.calibration.resolution,
                "attainable": self.calibration.attainable,
                "needed": self.calibration.needed,
            },
            "chosen": self.chosen,
            "asr": self.asr,
            "sia": self.sia,
            "fpr": self.fpr,
            "trials": [vars(trial) for trial in self.trials],
            "adapted": self.adapted.to_json() if self.adapted else None,
            "quick": self.quick,
            **({"cells": _listed(self.cells)} if self.cells else {}),
        }


def _listed(cells: ReplacedCells) -> list[dict[str, float]]:
    """Return the columns of cells and their ranges, as shares of those of the columns."""
    ends = zip(cells.columns.tolist(), cells.low.tolist(), cells.high.tolist(), strict=True)
    return [{"column": column, "low": low, "high": high} for column, low, high in ends]


@dataclass(frozen=True, eq=False)
class RepairContents:
    """The fields of a `undoor.repairs.record.Repair`.

    Attributes
    ----------
    fingerprint, contract
        Of the model.
    seconds
        What the work took; files do not keep it, so that the same repair is the same bytes.
    version
        Of the undoor that made the repair.
    identity
        The model field by field, where it is known.
    """

    verdict: Verdict
    targets: tuple[TargetRepair, ...]
    fit: str
    fingerprint: str
    contract: Contract
    seconds: Mapping[str, float] = field(default_factory=dict)
    version: str = field(default_factory=lambda: version("undoor"))
    identity: ModelIdentity | None = None
