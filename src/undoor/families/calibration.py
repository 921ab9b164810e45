"""What was learned from models without a backdoor, and the file that holds it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from undoor.errors import UndoorError
from undoor.families.null import Agreement, Lowest, Null
from undoor.files import why, write_text
from undoor.kinds import require_fields, require_hint
from undoor.spaces.images import IMAGES
from undoor.tasks.multi_label import MULTI_LABEL
from undoor.tasks.registry import find_task
from undoor.tasks.regression import REGRESSION
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.vocabulary import (
    BLACK_BOX,
    CALIBRATE,
    CONVOLUTIONAL,
    MANY_CLASSES,
    OTHER_KIND,
    POINTS,
    ROWS,
    SIGNALS,
    TOKENS,
    TRANSFORMER,
)

SCHEMA = "undoor/calibration/1"
# What undoor comes with: for models of at least so many classes, for those of fewer, and of these
# for rows of tables; for signals and points, of the former.
MANY, FEW, ROWS_FEW = "calibration.toml", "calibration_few.toml", "calibration_rows.toml"
SIGNALS_MANY, TEXT_FEW = "calibration_signals.toml", "calibration_text.toml"
POINTS_MANY, TREES_FEW = "calibration_points.toml", "calibration_trees.toml"
# Spaces with a calibration of their own for few classes.
OWN = {ROWS: ROWS_FEW, TOKENS: TEXT_FEW}
# And for few classes of a kind of network, by space and kind.
OF_NETWORKS = {(ROWS, BLACK_BOX): TREES_FEW}
# For many.
OWN_MANY = {SIGNALS: SIGNALS_MANY, POINTS: POINTS_MANY}
# For the other tasks, by task and space.
OF_TASKS = {
    (REGRESSION.name, IMAGES.name): "calibration_regression.toml",
    (MULTI_LABEL.name, IMAGES.name): "calibration_multilabel.toml",
}

Part = TypeVar("Part")


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

    @property
    def absolute(self) -> bool:
        """Whether each class counts by itself.

        There are too few others to compare with, or a margin says by itself what a trigger does.
        """
        task = find_task(self.task)
        return self.classes[0] < MANY_CLASSES or (task is not None and task.absolute)

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

    def covers_network(self, kind: str) -> bool:
        """Return whether a network of this kind is like those of the models.

        Transformers once counted as other networks, and were learned from as such.

        >>> Scope().covers_network("convolutional"), Scope().covers_network("transformer")
        (True, False)
        """
        return kind == self.network or (self.network, kind) == (OTHER_KIND, TRANSFORMER)

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
        Of how many of the backdoored ones among them the usual level finds a target, and how many
        there are; None where there are none.
    unreached
        The families without a null because no trigger of theirs worked in any of the models.

    Raises
    ------
    UndoorError
        There is no null, or nulls are absolute and of many classes, or neither.
    """

    nulls: Mapping[str, Null]
    agreement: Agreement
    lowest: Lowest
    scope: Scope
    models: tuple[str, ...]
    power: tuple[int, int] | None = None
    unreached: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse parts that do not belong together."""
        few = self.scope.absolute
        if not self.nulls or any(null.absolute is not few for null in self.nulls.values()):
            raise UndoorError(
                f"expected nulls that are all absolute where there are fewer than {MANY_CLASSES} "
                "classes or margins count by themselves, all relative elsewhere, and at least one, "
                "got others"
            )
        if self.power is not None and not 0 <= self.power[0] <= self.power[1]:
            raise UndoorError(f"expected power to be found models and all, got {self.power!r}")

    @staticmethod
    def load(file: str | Path) -> Calibration:
        """Return what `save` wrote.

        Raises
        ------
        UndoorError
            It is no such file.
        """
        try:
            return parsed(Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            raise UndoorError(
                f"{file}: {why(error)}; expected a file that `{CALIBRATE}` wrote"
            ) from None
        except (ValueError, TypeError, AttributeError, RecursionError, UndoorError) as error:
            raise UndoorError(
                f"{file}: expected a file that `{CALIBRATE}` wrote, got another ({error}); write "
                "it again"
            ) from None

    def save(self, file: str | Path) -> None:
        """Write the calibration as TOML."""
        write_text(Path(file), self.to_toml())

    def to_json(self) -> dict[str, Any]:
        """Return every field by its name."""
        return {"schema": SCHEMA, **asdict(self)}

    def to_toml(self) -> str:
        """Return the calibration as TOML."""
        image = self.scope.space == IMAGES.name
        size = ", at 3 x 32 x 32 pixels and ten classes" if image else ""
        lines = [f"# Natural triggers{size}."]
        lines += [f'schema = "{SCHEMA}"', "models = ["]
        lines += [f"    {_value(name)}," for name in self.models] + ["]"]
        lines.append(f"unreached = {_value(self.unreached)}")
        if self.power is not None:
            lines.append(f"power = {_value(self.power)}")
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


def calibration_for(
    classes: int,
    space: str = IMAGES.name,
    task: str = SINGLE_LABEL.name,
    shape: tuple[int, ...] | None = None,
    network: str | None = None,
) -> Calibration:
    """Return the calibration that undoor comes with for models of so many classes.

    Parameters
    ----------
    classes
        How many.
    space
        The name of what their inputs are.
    task
        The name of what their outputs mean. Where nothing was learned of it, the calibration is of
        other models, which supports no verdict.
    shape
        Of an input, without the batch axis; None for any.
    network
        Their kind, as of `Scope.network`; None for any.
    """
    if file := OF_TASKS.get((task, space)):
        return _shipped(file)
    if classes >= MANY_CLASSES:
        found = _shipped(OWN_MANY.get(space, MANY))
        # Natural triggers of short series and of speech have nothing in common: for other lengths
        # no family of signals has a null; nor one of points for other numbers of them.
        covered = space not in OWN_MANY or shape is None or found.scope.covers_size(shape)
        return found if covered else _shipped(MANY)
    return _shipped(OF_NETWORKS.get((space, network or ""), OWN.get(space, FEW)))


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
    own = (*OWN_MANY.values(), *OWN.values(), *OF_NETWORKS.values(), *OF_TASKS.values())
    every = (MANY, FEW, *own)
    return tuple(name for file in every for name in _shipped(file).models)


@cache
def _shipped(file: str) -> Calibration:
    return parsed(files(__package__).joinpath(file).read_text(encoding="utf-8"))


def parsed(text: str) -> Calibration:
    """Return the calibration that `Calibration.to_toml` wrote.

    Raises
    ------
    UndoorError, ValueError, TypeError, AttributeError, RecursionError
        It wrote something else.
    """
    data: dict[str, Any] = tomllib.loads(text)
    if data.get("schema") != SCHEMA:
        raise UndoorError(f"its schema is {data.get('schema')!r}, expected {SCHEMA!r}")
    tables = ("schema", "models", "unreached", "scope", "agreement", "lowest", "null")
    _require_keys("the file", data.keys() - {"power"}, tables)
    power = data.get("power")
    for name in ("models", "unreached"):
        if not isinstance(data[name], list):
            raise UndoorError(f"{name}: expected a list of names")
    found = Calibration(
        nulls={
            str(family): _part(Null, f'null."{family}"', null)
            for family, null in data["null"].items()
        },
        agreement=_part(Agreement, "agreement", data["agreement"]),
        lowest=_part(Lowest, "lowest", data["lowest"]),
        scope=_part(Scope, "scope", data["scope"]),
        models=tuple(map(str, data["models"])),
        unreached=tuple(map(str, data["unreached"])),
        power=None if power is None else tuple(power),
    )
    require_hint(found.power, tuple[int, int] | None, "power")
    return found


def _part(kind: type[Part], name: str, values: Mapping[str, Any]) -> Part:
    """Return a table of the file as what it is."""
    _require_keys(name, values.keys(), [field.name for field in fields(kind)])  # type: ignore[arg-type]
    try:
        made = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
        require_fields(made)
    except (UndoorError, TypeError) as error:
        raise UndoorError(f"[{name}] {error}") from None
    return made


def _require_keys(name: str, found: Collection[str], expected: Collection[str]) -> None:
    if set(found) != set(expected):
        odd = ", ".join(sorted(set(found) ^ set(expected)))
        raise UndoorError(f"{name}: expected {', '.join(expected)}; missing or unknown: {odd}")


def _value(value: bool | float | str | Sequence[int] | Sequence[str]) -> str:
    """Return a value as TOML has it, numbers with four digits."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case float() | int():
            return f"{value:.4g}" if isinstance(value, float) else str(value)
        case _:
            return f"[{', '.join(map(_value, value))}]"
