"""What the scan of one model says about natural triggers."""

from __future__ import annotations

from dataclasses import dataclass

from undoor.errors import UndoorError
from undoor.families.calibration import Scope
from undoor.families.registry import family_named
from undoor.scan.report import ClassEvidence, ScanReport
from undoor.spaces.registry import space_named


@dataclass(frozen=True)
class Observation:
    """The evidence of one scan, and what is known about the model.

    Attributes
    ----------
    name
        Of the model.
    classes
        How many it has.
    shape
        Of its inputs, without the batch axis.
    evidence
        Of every family and class that was followed.
    space, task, network
        As of `undoor.families.calibration.Scope`.
    targets
        Of its backdoors; none of a clean model.
    sources
        For each target the classes whose inputs are moved to it; none where all others are.
    took
        Whether its backdoors work.
    """

    name: str
    classes: int
    shape: tuple[int, ...]
    evidence: tuple[ClassEvidence, ...]
    space: str = Scope.space
    task: str = Scope.task
    network: str = Scope.network
    targets: tuple[int, ...] = ()
    sources: tuple[tuple[int, ...], ...] = ()
    took: bool = True

    @staticmethod
    def of_clean(report: ScanReport, name: str) -> Observation:
        """Return what the scan of a clean model says.

        Raises
        ------
        UndoorError
            The scan did not search every family to its end.
        """
        covered = report.coverage
        cut_short = any(item.searched and item.code for item in covered.families)
        if not covered.known or cut_short or not report.evidence:
            raise UndoorError(
                f"{name}: expected the report of a scan that searched all it could, got one of an "
                "older version, or one whose search did not take place or ended early; scan the "
                "model again"
            )
        return Observation(
            name,
            len(report.class_names),
            covered.shape,
            report.evidence,
            str(covered.space),
            str(covered.task),
            str(covered.network),
        )

    def scaled(self, item: ClassEvidence) -> float | None:
        """Return the size of a trigger at 3 x 32 x 32 pixels."""
        if item.size is None:
            return None
        extent = space_named(self.space).extent(self.shape)
        return item.size / family_named(item.family).growth(extent)
