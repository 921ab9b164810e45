"""The JSON document of a repair."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from undoor.render.documents.parts import (
    ClassNumber,
    Count,
    Fraction,
    Interval,
    Part,
    Seconds,
    Sha256,
)
from undoor.vocabulary import Verdict


class ScoreSummary(Part):
    """Scores in a few numbers."""

    n: Count
    min: float
    q05: float
    median: float
    q95: float
    max: float
    mean: float
    std: float


class Scores(Part):
    """The scores that a threshold was set on; null where there are none."""

    clean: ScoreSummary | None
    triggered: ScoreSummary | None


class Calibration(Part):
    """What the guard's threshold was set on, and the rate that this guarantees."""

    wanted_fpr: Fraction
    n: Count
    flagged: Fraction | None
    flagged_interval: Interval
    resolution: Fraction
    attainable: bool = Field(description="Whether `n` scores can guarantee `wanted_fpr`.")
    needed: Count = Field(description="How many scores can.")
    scores: Scores | None = Field(default=None, description="Missing in older repairs.")


class Trial(Part):
    """A plan of corrections that cross-validation compared."""

    name: str
    sia: Fraction | None
    fpr: Fraction
    score: float


class Adaptation(Part):
    """The refit on inputs seen in operation."""

    seen: Count
    flagged: Count
    needed: Count
    missed: Fraction | None
    fitted: Count
    refitted: bool


class CellRange(Part):
    """The range of one cell of a row, as shares of the range of its column."""

    column: Count
    low: float
    high: float


class RepairedTarget(Part):
    """The corrections for one target; rates are cross-validated with the recovered trigger."""

    target: ClassNumber
    sources: list[ClassNumber]
    threshold: float = Field(
        description="Score above which inputs are flagged: how much less than three quarters of "
        "the target's lead the corrections leave"
    )
    calibration: Calibration
    chosen: str = Field(description="The trial that won.")
    asr: Fraction
    sia: Fraction | None
    fpr: Fraction
    trials: list[Trial]
    adapted: Adaptation | None
    quick: bool = Field(description="Made with the scan's trigger alone and no choice of a plan.")
    cells: list[CellRange] | None = Field(
        default=None, description="Of models without layers, by which rows are flagged."
    )


class Site(Part):
    """A place in the network that is corrected."""

    target: ClassNumber
    name: str
    extent: Count = Field(description="Longer side of its map.")
    granularity: str
    moved: float = Field(description="Shift undone, in clean standard deviations.")


class RepairSeconds(Part):
    """The seconds that the repair took."""

    scan: Seconds
    align: Seconds


class Repair(Part):
    """The result of `undoor repair`: repair.json, and the output of `undoor repair --json`."""

    schema_: Literal["undoor/repair/3"] = Field(alias="schema")
    verdict: Verdict
    targets: list[RepairedTarget]
    sites: list[Site]
    fit: str
    model_sha256: Sha256
    repair_sha256: Sha256 = Field(description="Of repair.safetensors, which is the repair.")
    seconds: RepairSeconds
