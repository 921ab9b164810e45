"""The settings of an attack that a row of the zoo's table changes."""

from __future__ import annotations

from dataclasses import dataclass

from undoor_bench.zoo.changes import Changes, require_count, require_share


@dataclass(frozen=True)
class Variant(Changes):
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
        require_share("rate", self.rate)
        require_share("strength", self.strength)
        require_count("targets", self.targets)

    def named(self, attack: str) -> str:
        """Return the name of the attack in tables.

        >>> Variant(rate=0.01, strength=0.2).named("blend")
        'blend, rate 0.01, strength 0.2'
        """
        return ", ".join([attack, *(f"{key} {value}" for key, value in self.to_json().items())])


AS_USUAL = Variant()
