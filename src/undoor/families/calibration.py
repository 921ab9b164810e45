"""What was learned from models without a backdoor: how small natural triggers are."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from undoor.errors import UndoorError
from undoor.vocabulary import CALIBRATE, CONVOLUTIONAL

FILE = "calibration.toml"


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
    """

    natural: float
    ceiling: float
    location: float
    scale: float
    weight: float = 1.0
    least_others: float = 0.0


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
    """The models that the nulls were learned from and are known to hold for.

    Their inputs are of a calibrated space, and so is their task.

    Attributes
    ----------
    network
        Their kind (`undoor.sites.network_kind`).
    sides, channels
        Minimum and maximum, in pixels and channels.
    classes
        Minimum; the p-values are corrected for more.
    """

    network: str = CONVOLUTIONAL
    sides: tuple[int, int] = (28, 32)
    channels: tuple[int, int] = (1, 3)
    classes: int = 5

    def covers_size(self, shape: tuple[int, ...]) -> bool:
        """Return whether images of this shape are in the range of those of the models.

        How natural sizes grow beyond that range was never measured.

        >>> Scope().covers_size((3, 32, 32)), Scope().covers_size((3, 224, 224))
        (True, False)
        """
        (low, high), (min_channels, max_channels) = self.sides, self.channels
        return min_channels <= shape[0] <= max_channels and all(
            low <= side <= high for side in shape[1:]
        )


SCOPE = Scope()


@cache
def agreement_null() -> Agreement:
    """Return the null of the families' agreement, from `calibration.toml`."""
    return Agreement(**_file()["agreement"])


@cache
def lowest_null() -> Lowest:
    """Return the null of the lowest combination, from `calibration.toml`."""
    return Lowest(**_file()["lowest"])


@cache
def fitted_nulls() -> dict[str, Null]:
    """Return the nulls by family, from `calibration.toml`."""
    return {family: Null(**null) for family, null in _file()["null"].items()}


def fitted_null(family: str) -> Null:
    """Return the null of a family as `calibration.toml` has it.

    Raises
    ------
    UndoorError
        It has none; the message names the command that fits one.
    """
    found = fitted_nulls().get(family)
    if found is None:
        raise UndoorError(
            f"expected a null of the trigger family {family!r}, which holds how small its "
            "natural triggers are; got none. "
            f"`{CALIBRATE}` fits one from scans of models whose backdoors "
            "are known: give it as `null`, or set `uncalibrated`, with which no scan calls a model "
            "clean"
        )
    return found


def calibrated_on() -> tuple[str, ...]:
    """Return the models that the nulls were learned from, which are no evidence about the scan."""
    return tuple(_file()["models"])


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(FILE).read_text())
