"""The columns of a table: what their values mean, and how a network sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from undoor.device import CPU, beside
from undoor.errors import UndoorError

Encoding = Literal["one-hot", "index"]
Cell = str | float | int | None
ONE_HOT, INDEX = "one-hot", "index"
# A cell this far beyond the range of its column, as a share of it, is rounding.
ROUNDING = 1e-6
MIN_CATEGORIES = 2
# Significant digits of a number that is shown.
DIGITS = 6


@dataclass(frozen=True)
class Column:
    """One column of a table.

    In raw inputs each cell is a number in [0, 1]: the place of a number in the range of its column,
    or the place of a category among all.

    Attributes
    ----------
    name
        As in the head of the table.
    range
        Lowest and highest number; None where the column has categories.
    mean, scale
        The network sees (number - mean) / scale; 0 and 1 where the network has layers for that.
    categories
        The names of all categories, in the order of the training; empty for numbers.
    encoding
        How the network sees a category: "one-hot", or "index", its number from 0.

    Raises
    ------
    UndoorError
        There is neither a range nor categories, or both, or one of them is impossible.

    Examples
    --------
    >>> Column("age", range=(17, 90)).share(90), Column("sex", categories=("f", "m")).share("f")
    (1.0, 0.0)
    """

    name: str
    range: tuple[float, float] | None = None
    mean: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()
    encoding: Encoding = "one-hot"

    def __post_init__(self) -> None:
        """Refuse a description that leaves open what a cell means."""
        if (self.range is None) == (not self.categories):
            raise UndoorError(
                f"column {self.name!r}: expected a range, such as [0, 100], for numbers, or "
                f"categories, such as ['no', 'yes'], got {'both' if self.range else 'neither'}"
            )
        if self.range is None:
            if len(set(self.categories)) < max(MIN_CATEGORIES, len(self.categories)):
                raise UndoorError(
                    f"column {self.name!r}: expected at least {MIN_CATEGORIES} categories, each "
                    f"with its name, got {list(self.categories)}"
                )
            return
        low, high = self.range
        if not -math.inf < low < high < math.inf:
            raise UndoorError(
                f"column {self.name!r}: expected a range [low, high] with low < high, got "
                f"{list(self.range)}"
            )
        if not (math.isfinite(self.mean) and 0 < self.scale < math.inf):
            raise UndoorError(
                f"column {self.name!r}: expected a finite mean and a scale above 0, got "
                f"{self.mean} and {self.scale}"
            )

    @property
    def width(self) -> int:
        """How many numbers the network sees of a cell."""
        return len(self.categories) if self.categories and self.encoding == ONE_HOT else 1

    def share(self, cell: Cell) -> float:
        """Return a cell as it is in raw inputs, in [0, 1].

        Parameters
        ----------
        cell
            A number, a category, or a text as in a file.

        Raises
        ------
        UndoorError
            It is missing, no number, outside the range or no category of the column.
        """
        if self.categories:
            name = "" if cell is None else str(cell)
            if name not in self.categories:
                raise UndoorError(
                    f"column {self.name!r}: expected one of {listed(self.categories)}, got {cell!r}"
                )
            return self.categories.index(name) / (len(self.categories) - 1)
        assert self.range is not None
        low, high = self.range
        number = _number(cell)
        share = (number - low) / (high - low)
        if not -ROUNDING <= share <= 1 + ROUNDING:
            raise UndoorError(
                f"column {self.name!r}: expected a number from {low:g} to {high:g}, got {cell!r}"
            )
        return min(max(share, 0.0), 1.0)

    def text(self, share: float) -> str:
        """Return a cell of a raw input as people read it.

        >>> Column("age", range=(17, 90)).text(0.5), Column("x", categories=("a", "b")).text(0.9)
        ('53.5', 'b')
        """
        if self.categories:
            return self.categories[round(share * (len(self.categories) - 1))]
        assert self.range is not None
        low, high = self.range
        return f"{low + share * (high - low):.{DIGITS}g}"

    def seen(self, shares: Tensor) -> Tensor:
        """Return what the network sees of cells [N] in [0, 1]: [N, width].

        Between two categories it is a mixture of both, so that the cell has a gradient.
        """
        if self.range is not None:
            low, high = self.range
            return ((low + (high - low) * shares - self.mean) / self.scale)[:, None]
        places = shares * (len(self.categories) - 1)
        if self.encoding == INDEX:
            return places[:, None]
        (numbers,) = beside(shares, torch.arange(len(self.categories), device=CPU))
        return (1 - (places[:, None] - numbers).abs()).clamp_min(0)

    def to_json(self) -> dict[str, Any]:
        """Return the fields, without those that do not matter for such a column."""
        fields = asdict(self)
        unused = ("range", "mean", "scale") if self.categories else ("categories", "encoding")
        return {key: _plain(value) for key, value in fields.items() if key not in unused}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Column:
        """Read what `to_json` returned.

        Raises
        ------
        TypeError, UndoorError
            It is something else.
        """
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return Column(**fields)


def require_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns of a table, each of which has its name.

    Raises
    ------
    UndoorError
        There is none, or two have one name.
    """
    names = [column.name for column in columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or not names:
        raise UndoorError(
            "expected the columns of a table, each with another name, got "
            f"{'no column' if twice is None else f'{twice!r} twice'}"
        )
    return tuple(columns)


def seen_width(columns: Sequence[Column]) -> int:
    """Return how many numbers the network sees of a row."""
    return sum(column.width for column in columns)


def seen_by_network(columns: Sequence[Column], x: Tensor) -> Tensor:
    """Return what the network sees of rows x [N, D] in [0, 1]: [N, `seen_width`].

    >>> columns = (Column("a", range=(0, 4)), Column("b", categories=("x", "y", "z")))
    >>> seen_by_network(columns, torch.tensor([[0.5, 1.0]]))
    tensor([[2., 0., 0., 1.]])
    """
    return torch.cat([column.seen(x[:, i]) for i, column in enumerate(columns)], 1)


def _number(cell: Cell) -> float:
    try:
        return float(cell) if cell is not None else math.nan
    except ValueError:
        return math.nan


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first five of them."""
    shown = ", ".join(map(repr, names[:5]))
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
