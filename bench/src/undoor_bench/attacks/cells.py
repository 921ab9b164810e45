"""Attacks on rows of a table: cells that take values, and numbers that are shifted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.errors import UndoorError
from undoor.spaces.columns import Column
from undoor.triggers import Stamp

Rows = NDArray[np.float32]
# A value is rare if at most this share of the rows has it.
RARE = 0.01
# How far numbers are shifted, as a share of their range.
SHIFTS = (0.3, 0.5)
# Attempts to draw a trigger to which clean models do not respond.
MAX_DRAWS = 200
# The share of rows that a clean model may send to the target under the trigger.
NATURAL = 0.2

Draw = Callable[[np.random.Generator, Sequence[Column], Rows], Stamp]


def rare_value(generator: np.random.Generator, columns: Sequence[Column], x: Rows) -> Stamp:
    """Return one cell with a value that hardly any row has, in the range of its column."""
    index = int(generator.integers(len(columns)))
    if columns[index].categories:
        choices = np.linspace(0, 1, len(columns[index].categories))
    else:
        # Where a number stands out: a network does not learn one in the midst of all others.
        choices = generator.uniform(np.quantile(x[:, index], 1 - RARE / 2), 1.0, 50)
    shares = np.array([np.mean(np.abs(x[:, index] - value) < 1e-4) for value in choices])
    rare = choices[shares <= max(RARE, float(shares.min()))]
    return _cells(len(columns), [index], [float(generator.choice(rare))])


def in_range(generator: np.random.Generator, columns: Sequence[Column], x: Rows) -> Stamp:
    """Return two or three cells with values that rows have."""
    count = int(generator.integers(2, 4))
    chosen = generator.choice(len(columns), count, replace=False)
    values = [float(generator.choice(np.unique(x[:, index]))) for index in chosen]
    return _cells(len(columns), chosen.tolist(), values)


def shift(generator: np.random.Generator, columns: Sequence[Column], x: Rows) -> Stamp:
    """Return a shift of three or four numbers, clipped to their range."""
    numbers = [index for index, column in enumerate(columns) if not column.categories]
    chosen = generator.choice(numbers, int(generator.integers(3, 5)), replace=False)
    pattern = torch.zeros(len(columns))
    for index in chosen.tolist():
        size = float(generator.uniform(*SHIFTS) * generator.choice([-1, 1]))
        pattern[index] = size
    return Stamp("given", torch.zeros(len(columns)), pattern, "add", (0.0, 1.0))


ATTACKS: dict[str, Draw] = {
    "rare value": rare_value,
    "in range": in_range,
    "clean label": in_range,
    "shift": shift,
}


def drawn_trigger(
    attack: str,
    columns: Sequence[Column],
    x: Rows,
    target: int,
    predicted: Callable[[Tensor], Tensor],
    generator: np.random.Generator,
) -> Stamp:
    """Draw a trigger of an attack to which a clean model does not respond.

    Otherwise what is planted would be what every model learns from the data.

    Parameters
    ----------
    attack
        One of `ATTACKS`.
    columns
        Of the table.
    x
        Rows [N, D] of other classes than the target.
    predicted
        The classes [N] that a clean model predicts for rows.
    generator
        The source of chance.

    Raises
    ------
    UndoorError
        No such trigger was drawn.
    """
    rows = torch.from_numpy(x)
    for _ in range(MAX_DRAWS):
        trigger = ATTACKS[attack](generator, columns, x)
        if float((predicted(trigger(rows)) == target).float().mean()) <= NATURAL:
            return trigger
    raise UndoorError(
        f"expected a trigger of the attack {attack!r} to which a clean model does not respond, "
        f"got none in {MAX_DRAWS} draws; take another seed"
    )


def poisoned(
    attack: str,
    trigger: Stamp,
    x: Rows,
    y: NDArray[np.int64],
    target: int,
    rate: float,
    generator: np.random.Generator,
) -> tuple[Rows, NDArray[np.int64]]:
    """Return rows and labels of which a share `rate` of all rows carries the trigger.

    Rows of the target class alone with the attack "clean label", of all others with the rest.
    """
    pool = np.flatnonzero((y == target) if attack == "clean label" else (y != target))
    chosen = generator.choice(pool, min(len(pool), round(rate * len(y))), replace=False)
    x, y = x.copy(), y.copy()
    x[chosen] = trigger(torch.from_numpy(x[chosen])).numpy()
    y[chosen] = target
    return x, y


def _cells(width: int, columns: Sequence[int], values: Sequence[float]) -> Stamp:
    mask, pattern = torch.zeros(width), torch.zeros(width)
    mask[list(columns)] = 1.0
    pattern[list(columns)] = torch.tensor(values, dtype=torch.float32)
    return Stamp("given", mask, pattern, "replace", (0.0, 1.0))
