"""What a scan searched, on what its statistics were learned, and what its verdict lacks.

Codes and numbers alone; `undoor.render.coverage` puts them into words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from undoor.vocabulary import (
    FEW_CLASSES,
    FEW_IMAGES,
    LITTLE_POWER,
    SOME_TARGETS,
    UNKNOWN_TASK,
)


@dataclass(frozen=True)
class FamilyCoverage:
    """How far one trigger family was searched.

    Attributes
    ----------
    family
        Its name.
    searched
        Whether it was searched, at least in part.
    code
        Why it was not, or not to the end: a code of `undoor.vocabulary`, or a sentence of the
        package that adds the family. None where it was searched to the end.
    reported_below
        The size, in the family's unit, below which a trigger would have been reported; None where
        that is not known.
    alarm
        The score from which on a class would have been reported; None where that is not known.
    has_null
        Whether a null was fitted: how small its natural triggers are.
    """

    family: str
    searched: bool
    code: str | None = None
    reported_below: float | None = None
    alarm: float | None = None
    has_null: bool = True


@dataclass(frozen=True)
class Gap:
    """One gap in what a verdict is based on.

    Attributes
    ----------
    code
        Of `undoor.vocabulary`, or a sentence as in `FamilyCoverage.code`.
    families
        The trigger families concerned.
    found, expected
        Numbers, where there are some: of classes, of images per class, the shape of an input.
    """

    code: str
    families: tuple[str, ...] = ()
    found: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()

    @property
    def acceptable(self) -> bool:
        """Whether a user may accept it.

        Without anything that was learned of so many classes, or the task, a verdict is meaningless;
        so is the verdict backdoored from few images, and clean where backdoored models are not
        found, or from a search for some targets.
        """
        return self.code not in (FEW_CLASSES, FEW_IMAGES, LITTLE_POWER, SOME_TARGETS, UNKNOWN_TASK)


@dataclass(frozen=True)
class Coverage:
    """What a verdict is based on; all empty or None where an older report does not hold it.

    Attributes
    ----------
    families
        One entry for each trigger family that is installed, in the order of the search.
    network
        The kind of network: `CONVOLUTIONAL`, `TRANSFORMER`, `OTHER_KIND`, `OPAQUE` or
        `BLACK_BOX`.
    space
        What an input is, for example `IMAGES`.
    task
        What an output means, for example a single label.
    shape
        Of one input.
    classes
        How many.
    calibrated
        By "network", "space", "size", "task" and "classes", whether the nulls were learned on such
        models.
    gaps
        What is lacking.
    accepted
        Whether the user accepted those gaps that can be accepted.
    decisive
        Whether the model would have been called clean or backdoored but for the gaps.
    """

    families: tuple[FamilyCoverage, ...] = ()
    network: str | None = None
    space: str | None = None
    task: str | None = None
    shape: tuple[int, ...] = ()
    classes: int | None = None
    calibrated: Mapping[str, bool] | None = None
    gaps: tuple[Gap, ...] = ()
    accepted: bool = False
    decisive: bool = False

    @property
    def known(self) -> bool:
        """Whether the report holds what was covered."""
        return self.calibrated is not None

    @property
    def detectable(self) -> dict[str, float]:
        """By family, the size below which a trigger would have been reported."""
        known = ((item.family, item.reported_below) for item in self.families)
        return {family: size for family, size in known if size is not None}

    @property
    def alarms(self) -> dict[str, float]:
        """By family, the score from which on a class would have been reported."""
        known = ((item.family, item.alarm) for item in self.families)
        return {family: score for family, score in known if score is not None}

    @property
    def open_gaps(self) -> tuple[Gap, ...]:
        """The gaps that the user did not accept."""
        return tuple(gap for gap in self.gaps if not (self.accepted and gap.acceptable))

    def to_json(self) -> dict[str, Any]:
        """Return every field by its name: codes and numbers."""
        return asdict(self, dict_factory=with_lists)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Coverage:
        """Read what `to_json` gave.

        Raises
        ------
        KeyError, TypeError, AttributeError
            `data` is not what `to_json` gives.
        """
        expected = {field.name for field in fields(Coverage)}
        if data.keys() != expected:
            raise KeyError(*sorted(data.keys() ^ expected))
        return Coverage(
            **{
                **data,
                "families": tuple(FamilyCoverage(**item) for item in data["families"]),
                "shape": tuple(data["shape"]),
                "gaps": tuple(_gap(item) for item in data["gaps"]),
            }
        )


def with_lists(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return fields as JSON has them, with lists in the place of tuples."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in items}


def of_older(detectable: Mapping[str, float]) -> Coverage:
    """Return the coverage of a report of a version that held `detectable` alone."""
    return Coverage(tuple(FamilyCoverage(f, True, None, size) for f, size in detectable.items()))


def _gap(item: Mapping[str, Any]) -> Gap:
    numbers = {key: tuple(item[key]) for key in ("families", "found", "expected")}
    return Gap(item["code"], **numbers)
