"""What was learned from models without a backdoor: how small natural triggers are."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from undoor.errors import UndoorError
from undoor.vocabulary import CALIBRATE, CONVOLUTIONAL, IMAGES

FILE = "calibration.toml"


@dataclass(frozen=True)
class Null:
    """The natural triggers of one family, on images of 32 x 32 pixels and ten classes.

    natural : median over the models of their smallest trigger. ceiling : size beyond which classes
    tell nothing. location, scale : of the Gumbel distribution of a model's highest log score.
    weight : of the family among the others, by how many backdoors it showed. least_others : the
    smallest lower quartile that a model's natural triggers had; 0 in families in which many small
    ones at once are no sign of many targets.
    """

    natural: float
    ceiling: float
    location: float
    scale: float
    weight: float = 1.0
    least_others: float = 0.0


@dataclass(frozen=True)
class Agreement:
    """Location and scale of the Gumbel distribution of the highest agreement of the families about
    a class without a backdoor, of ten. weight : as that of a family."""

    location: float
    scale: float
    weight: float = 1.0


@dataclass(frozen=True)
class Scope:
    """The models that the nulls were learned from and are known to hold for.

    space : of their inputs. network : their kind (`undoor.sites.network_kind`). sides, channels :
    the fewest and the most. classes : the fewest; the p-values are corrected for more.
    """

    space: str = IMAGES
    network: str = CONVOLUTIONAL
    sides: tuple[int, int] = (28, 32)
    channels: tuple[int, int] = (1, 3)
    classes: int = 5

    def covers_size(self, shape: tuple[int, ...]) -> bool:
        """Whether images of this shape are no smaller and no larger than those of the models:
        how natural sizes grow further was never measured.

        >>> Scope().covers_size((3, 32, 32)), Scope().covers_size((3, 224, 224))
        (True, False)
        """
        (low, high), (fewest, most) = self.sides, self.channels
        return fewest <= shape[0] <= most and all(low <= side <= high for side in shape[1:])


SCOPE = Scope()


@cache
def agreement_null() -> Agreement:
    return Agreement(**_file()["agreement"])


@cache
def fitted_nulls() -> dict[str, Null]:
    """The nulls by family, from `calibration.toml`, which says how they were made."""
    return {family: Null(**null) for family, null in _file()["null"].items()}


def fitted_null(family: str) -> Null:
    """The null of a family as `calibration.toml` has it.

    Raises
    ------
    UndoorError
        It has none; the message names the command that fits one.
    """
    found = fitted_nulls().get(family)
    if found is None:
        raise UndoorError(
            f"expected a null of the trigger family {family!r}, which says how small its natural "
            f"triggers are; got none. `{CALIBRATE}` fits one from scans of models whose backdoors "
            "are known: give it as `null`, or set `uncalibrated`, with which no scan calls a model "
            "clean"
        )
    return found


def calibrated_on() -> tuple[str, ...]:
    """The models that the nulls were learned from: they prove nothing about the scan."""
    return tuple(_file()["models"])


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(FILE).read_text())
