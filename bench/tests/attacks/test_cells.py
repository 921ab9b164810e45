"""Attacks on rows of a table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from undoor.errors import UndoorError
from undoor.spaces.columns import Column
from undoor_bench.attacks.cells import ATTACKS, drawn_trigger, poisoned

COLUMNS = (
    *(Column(name, range=(0, 1)) for name in "abc"),
    Column("kind", categories=("x", "y", "z")),
)


def rows(count: int = 200) -> np.ndarray:
    x = np.random.default_rng(0).random((count, 4)).astype(np.float32)
    x[:, 3] = (2 * x[:, 3]).round() / 2
    return x


def never(x: Tensor) -> Tensor:
    return torch.zeros(len(x), dtype=torch.int64)


@pytest.mark.parametrize("attack", ATTACKS)
def test_triggers_stay_in_range_and_change_few_cells(attack: str) -> None:
    x = rows()
    trigger = drawn_trigger(attack, COLUMNS, x, 1, never, np.random.default_rng(1))
    changed = trigger(torch.from_numpy(x))
    assert bool(((changed >= 0) & (changed <= 1)).all())
    cells = (changed != torch.from_numpy(x)).any(0)
    assert 1 <= int(cells.sum()) <= 3


@pytest.mark.parametrize("attack", ["in range", "clean label"])
def test_as_many_rows_as_wanted_are_poisoned(attack: str) -> None:
    x, y = rows(), np.arange(200) % 2
    trigger = drawn_trigger(attack, COLUMNS, x, 1, never, np.random.default_rng(1))
    bad, labels = poisoned(attack, trigger, x, y, 1, 0.05, np.random.default_rng(2))
    changed = (bad != x).any(1)
    assert changed.sum() == 10
    assert (labels[changed] == 1).all()
    assert (y[changed] == (1 if attack == "clean label" else 0)).all()


def test_what_clean_models_respond_to_is_no_trigger() -> None:
    with pytest.raises(UndoorError, match="to which a clean model does not respond"):
        drawn_trigger(
            "in range", COLUMNS, rows(), 1, lambda x: never(x) + 1, np.random.default_rng(1)
        )
