"""The settings of an attack that a row of the zoo's table changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from undoor.errors import UndoorError


@dataclass(frozen=True)
class Variant:
    """An attack with other numbers than its usual ones; None stands for the usual one.

    Attributes
    ----------
    rate
        Share of the training images that are poisoned, for each backdoor, in (0, 1].
    strength
        Of the trigger, in (0, 1]. How opaque a patch or a blended picture is; the largest change of
        a pixel, of the range from 0 to 1, where a pattern is added; s of a warp.
    targets
        Of as many backdoors in one model, each with a trigger of its own.

    Raises
    ------
    UndoorError
        Numbers out of range.

    Examples
    --------
    >>> Variant(rate=0.01).suffix, Variant().suffix
    ('_rate0.01', '')
    """

    rate: float | None = None
    strength: float | None = None
    targets: int | None = None

    def __post_init__(self) -> None:
        for key in ("rate", "strength"):
            value = getattr(self, key)
            # A bool is a number to Python, and a file's `true` is no share.
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and 0 < value <= 1):
                raise UndoorError(f"{key} must be above 0 and at most 1, got {value!r}")
        count = self.targets
        if count is not None and (type(count) is not int or count < 1):
            raise UndoorError(f"targets must be a whole number from 1 on, got {count!r}")

    @staticmethod
    def of(row: Mapping[str, Any]) -> Variant:
        """Return the variant in a row of a table, or in a model's truth.json.

        Other keys are left alone.
        """
        return Variant(**{key: row[key] for key in KEYS if key in row})

    def to_json(self) -> dict[str, float]:
        """Return the numbers that are not as usual."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @property
    def suffix(self) -> str:
        """The ending of folder names; empty where all is as usual."""
        return "".join(f"_{key}{value}" for key, value in self.to_json().items())

    def named(self, attack: str) -> str:
        """Return the name of the attack in tables.

        >>> Variant(rate=0.01, strength=0.2).named("blend")
        'blend, rate 0.01, strength 0.2'
        """
        return ", ".join([attack, *(f"{key} {value}" for key, value in self.to_json().items())])


KEYS = tuple(field.name for field in fields(Variant))
AS_USUAL = Variant()
