"""How small, or how clear, natural triggers are: of one family, and of all together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from undoor.errors import UndoorError

# Beyond it, no number is one that was fitted.
LARGEST = 1e4


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

    def __post_init__(self) -> None:
        """Refuse numbers with which no p-value is one.

        Raises
        ------
        UndoorError
            A number is not finite, or out of range.
        """
        _require_numbers(self, above_0=("scale", "weight"), from_0=("ceiling", "least_others"))


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

    def __post_init__(self) -> None:
        """Refuse numbers with which no p-value is one, as `Null` does."""
        _require_numbers(self, above_0=("scale", "weight"))


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

    def __post_init__(self) -> None:
        """Refuse numbers with which no p-value is one, as `Null` does."""
        _require_numbers(self, above_0=("threshold", "excess", "models"))


def _require_numbers(
    part: Null | Agreement | Lowest, above_0: Collection[str], from_0: Collection[str] = ()
) -> None:
    """Refuse a number that is not finite, or out of its range."""
    for name, value in vars(part).items():
        if not isinstance(value, (int, float)):
            raise UndoorError(f"{name}: expected a number, got {value!r}")
        low = 0 if name in (*above_0, *from_0) else -LARGEST
        if not low <= value <= LARGEST or (name in above_0 and value == 0):
            least = "above 0" if name in above_0 else f"at least {low:g}"
            raise UndoorError(
                f"{name}: expected a number {least} and at most {LARGEST:g}, got {value}"
            )
