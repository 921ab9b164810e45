"""What was learned from models without a backdoor: how small natural triggers are."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.files import write_text
from undoor.kinds import require_fields, require_hint
from undoor.spaces.images import IMAGES
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.vocabulary import CALIBRATE, CONVOLUTIONAL

SCHEMA = "undoor/calibration/1"
# What is learned on models of fewer classes is absolute: the others are too few to compare with.
MANY_CLASSES = 5
# What undoor comes with: for models of at least so many classes, and for those of fewer.
MANY, FEW = "calibration.toml", "calibration_few.toml"


@dataclass(frozen=True)
class Null:
    """The natural triggers of one family, on images of 32 x 32 pixels and ten classes.

    Attributes
    ----------
    natural
        Median over the models of their smallest trigger, or of their largest margin.
    ceiling
        Size beyond which the sizes of classes are not informative.
    location, scale
        Of the Gumbel distribution of a model's highest log score, or highest lead of a margin.
    weight
        Of the family in the combination, by how many backdoors it showed.
    least_others
        The smallest lower quartile of a model's natural triggers; 0 in families in which many small
        triggers at once do not indicate many targets.
    absolute
        Whether a size or margin counts by itself, instead of beside those of the other classes.
    """

    natural: float
    ceiling: float
    location: float
    scale: float
    weight: float = 1.0
    least_others: float = 0.0
    absolute: bool = False


@dataclass(frozen=True)
class Agreement:
    """The highest agreement of the families about one of ten classes without a backdoor.

    Attributes
    ----------
    location, scale
        Of its Gumbel distribution.
    weight
        As that of a family.
    """

    location: float
    scale: float
    weight: float = 1.0


@dataclass(frozen=True)
class Lowest:
    """The lowest combination of all families about one of ten classes without a backdoor.

    Families depend on each other: what is easy to reach for one is for others as well. How low
    their combination comes is fitted, therefore, and not taken from theory.

    Attributes
    ----------
    threshold
        Of minus its logarithm: the value that 30 % of the models exceed.
    excess
        By how much they exceed it on average; of an exponential distribution.
    models
        How many models it was fitted on.
    """

    threshold: float
    excess: float
    models: int


@dataclass(frozen=True)
class Scope:
    """The models that a calibration was learned from and is known to hold for.

    Attributes
    ----------
    space, task
        Names of what their inputs and outputs are.
    network
        Their kind (`undoor.sites.network_kind`).
    sides
        Minimum and maximum of the sides of images, in pixels; of other inputs, of all axes but the
        first.
    channels
        Minimum and maximum, or of other inputs the length of the first axis.
    classes
        Minimum and maximum; 0 for no maximum, as the p-values are corrected for more.
    """

    space: str = IMAGES.name
    task: str = SINGLE_LABEL.name
    network: str = CONVOLUTIONAL
    sides: tuple[int, int] = (28, 32)
    channels: tuple[int, int] = (1, 3)
    classes: tuple[int, int] = (MANY_CLASSES, 0)

    def covers_size(self, shape: tuple[int, ...]) -> bool:
        """Return whether inputs of this shape are in the range of those of the models.

        How natural sizes grow beyond that range was never measured.

        >>> Scope().covers_size((3, 32, 32)), Scope().covers_size((3, 224, 224))
        (True, False)
        """
        (low, high), (min_channels, max_channels) = self.sides, self.channels
        return min_channels <= shape[0] <= max_channels and all(
            low <= side <= high for side in shape[1:]
        )

    def covers_classes(self, classes: int) -> bool:
        """Return whether so many classes are in the range of those of the models.

        >>> Scope().covers_classes(43), Scope(classes=(2, 4)).covers_classes(5)
        (True, False)
        """
        low, high = self.classes
        return low <= classes and (high == 0 or classes <= high)


@dataclass(frozen=True)
class Calibration:
    """What natural triggers look like, as it was learned from some models.

    Attributes
    ----------
    nulls
        By family.
    agreement, lowest
        Of all families together.
    scope
        What it holds for.
    models
        The models that it was learned from, which are no evidence about the scan.
    power
        The share of the backdoored ones among them, in [0, 1], that the usual level finds; None
        where there are none.
    """

    nulls: Mapping[str, Null]
    agreement: Agreement
    lowest: Lowest
    scope: Scope
    models: tuple[str, ...]
    power: float | None = None

    @staticmethod
    def load(file: str | Path) -> Calibration:
        """Return what `save` wrote.

        Raises
        ------
        UndoorError
            It is no such file.
        """
        try:
            return _parsed(Path(file).read_text())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UndoorError) as error:
            raise UndoorError(
                f"{file}: expected a file that `{CALIBRATE}` wrote ({_why(error)})"
            ) from None

    def save(self, file: str | Path) -> None:
        """Write the calibration as TOML."""
        write_text(Path(file), self.to_toml())

    def to_json(self) -> dict[str, Any]:
        """Return every field by its name."""
        return {"schema": SCHEMA, **asdict(self)}

    def to_toml(self) -> str:
        """Return the calibration as TOML."""
        lines = ["# Natural triggers, at 3 x 32 x 32 pixels and ten classes."]
        lines += [f'schema = "{SCHEMA}"', "models = ["]
        lines += [f"    {_value(name)}," for name in self.models] + ["]"]
        lines += [] if self.power is None else [f"power = {_value(self.power)}"]
        tables: dict[str, Any] = {
            "scope": self.scope,
            "agreement": self.agreement,
            "lowest": self.lowest,
        }
        named = {f"null.{_value(family)}": null for family, null in self.nulls.items()}
        for name, table in (tables | named).items():
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {_value(value)}" for key, value in asdict(table).items()]
        return "\n".join(lines) + "\n"

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the calibration as TOML."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()


def calibration_for(classes: int) -> Calibration:
    """Return the calibration that undoor comes with for models of so many classes."""
    return _shipped(MANY if classes >= MANY_CLASSES else FEW)


def fitted_null(family: str) -> Null:
    """Return the null of a family for models of at least five classes.

    Raises
    ------
    UndoorError
        It has none; the message names the command that fits one.
    """
    found = _shipped(MANY).nulls.get(family)
    if found is None:
        raise UndoorError(
            f"expected a null of the trigger family {family!r}, which holds how small its "
            "natural triggers are; got none. "
            f"`{CALIBRATE}` fits one from scans of clean models: give it as `null`, or set "
            "`uncalibrated`, with which no scan calls a model clean"
        )
    return found


def calibrated_on() -> tuple[str, ...]:
    """Return the models that any of undoor's calibrations was learned from."""
    return (*_shipped(MANY).models, *_shipped(FEW).models)


@cache
def _shipped(file: str) -> Calibration:
    return _parsed(files(__package__).joinpath(file).read_text())


def _parsed(text: str) -> Calibration:
    data: dict[str, Any] = tomllib.loads(text)
    if data["schema"] != SCHEMA:
        raise UndoorError(f"its schema is {data['schema']!r}, expected {SCHEMA!r}")
    scope: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in data["scope"].items()
    }
    found = Calibration(
        nulls={str(family): Null(**null) for family, null in data["null"].items()},
        agreement=Agreement(**data["agreement"]),
        lowest=Lowest(**data["lowest"]),
        scope=Scope(**scope),
        models=tuple(map(str, data["models"])),
        power=data.get("power"),
    )
    require_hint(found.power, float | None, "power")
    for part in (*found.nulls.values(), found.agreement, found.lowest, found.scope):
        require_fields(part)
    return found


def _value(value: bool | float | str | Sequence[int]) -> str:
    """Return a value as TOML has it, numbers with four digits."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False)
        case float() | int():
            return f"{value:.4g}" if isinstance(value, float) else str(value)
        case _:
            return f"[{', '.join(map(_value, value))}]"


def _why(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
