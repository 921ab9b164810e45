"""What the scan of one model says about natural triggers."""

from __future__ import annotations

from dataclasses import dataclass

from undoor.errors import UndoorError
from undoor.families.calibration import Scope
from undoor.families.registry import family_named
from undoor.scan.report import ClassEvidence, ScanReport
from undoor.spaces.registry import space_named
from undoor.vocabulary import BUDGET, BUDGET_ENDED, NOT_STARTED

# No scan finds a larger trigger, or a clearer one.
LARGEST_SIZE = 1e9
LARGEST_MARGIN = 1e4


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
        early = BUDGET in report.causes or any(
            item.code in (BUDGET_ENDED, NOT_STARTED) for item in covered.families
        )
        if not covered.known or early or not report.evidence:
            raise UndoorError(
                f"{name}: expected the report of a scan that searched all it could, got one of an "
                "older version, or one whose search did not take place or ended early; scan the "
                "model again"
            )
        try:
            _require_sound(report)
        except UndoorError as error:
            raise UndoorError(f"{name}: {error}; scan the model again") from None
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


def _require_sound(report: ScanReport) -> None:
    """Refuse a report whose evidence no scan can have found, as that of a file that was changed."""
    classes, covered, seen = len(report.class_names), report.coverage, set()
    space = space_named(str(covered.space))
    if not covered.shape or min(covered.shape) < 1 or not space.applies_to(covered.shape):
        raise UndoorError(f"expected the shape of an input of {space.name}, got {covered.shape}")
    if covered.classes != classes:
        raise UndoorError(f"expected as many class names as classes, got {classes}")
    for item in report.evidence:
        family = family_named(item.family)
        place = (item.family, item.target, item.source)
        numbers = [n for n in (item.target, item.source) if n is not None]
        if place in seen or any(type(n) is not int or not 0 <= n < classes for n in numbers):
            raise UndoorError(f"expected evidence about each class once, got {place}")
        seen.add(place)
        if item.size is not None and not 0 < item.size <= LARGEST_SIZE:
            raise UndoorError(f"expected sizes above 0, got {item.size} for {item.family}")
        if (item.margin is None) != (family.at_size is None):
            raise UndoorError(f"expected a margin where one is measured, got {item.margin}")
        if item.margin is not None and not abs(item.margin) <= LARGEST_MARGIN:
            raise UndoorError(f"expected finite margins, got {item.margin} for {item.family}")
