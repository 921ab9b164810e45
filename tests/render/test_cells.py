"""Triggers of rows in words, and a row with their cells marked."""

from __future__ import annotations

import torch

from undoor.render.cells import cells_text, marked_row
from undoor.spaces.columns import Column
from undoor.triggers import Stamp

COLUMNS = (Column("age", range=(0, 80)), Column("sex", categories=("f", "m")))
STAMP = Stamp("cells", torch.tensor([0.0, 1]), torch.tensor([0.0, 1]), "replace", (0.0, 1.0))


def test_the_cells_of_a_trigger() -> None:
    assert cells_text(STAMP, COLUMNS) == "sex = m"
    assert cells_text(STAMP, ()) is None


def test_a_row_with_the_cells_marked() -> None:
    assert marked_row([0.5, 0.0], STAMP, COLUMNS) == [
        ["age", "40", "40", ""],
        ["sex", "f", "m", "trigger"],
    ]
