"""The columns of a table: cells as raw inputs, and what a network sees of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.spaces.columns import Column, seen_by_network, seen_width
from undoor.spaces.rows import ROWS

AGE = Column("age", range=(20, 60), mean=40, scale=10)
KIND = Column("kind", categories=("a", "b", "c"))
PLACE = Column("place", categories=("x", "y", "z", "w"), encoding="index")
COLUMNS = (AGE, KIND, PLACE)


def test_cells_come_back_as_they_were() -> None:
    for column, cells in ((AGE, ("20", "33", "60")), (KIND, ("a", "b", "c"))):
        assert [column.text(column.share(cell)) for cell in cells] == list(cells)


def test_a_network_sees_scaled_numbers_and_one_of_each_category() -> None:
    cells: tuple[int | str, ...] = (50, "c", "w")
    rows = torch.tensor([[c.share(v) for c, v in zip(COLUMNS, cells, strict=True)]])
    assert seen_width(COLUMNS) == 5
    assert torch.allclose(seen_by_network(COLUMNS, rows), torch.tensor([[1.0, 0, 0, 1, 3]]))


def test_a_category_has_a_gradient() -> None:
    x = torch.tensor([[0.5, 0.3, 0.0]], requires_grad=True)
    seen_by_network(COLUMNS, x)[:, 1:4].mul(torch.tensor([1.0, 2, 4])).sum().backward()
    assert x.grad is not None
    assert float(x.grad[0, 1]) > 0


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        (AGE, 61, "from 20 to 60, got 61"),
        (AGE, "old", "number from 20 to 60, got 'old'"),
        (AGE, None, "got None"),
        (KIND, "d", "one of 'a', 'b', 'c', got 'd'"),
    ],
)
def test_cells_that_are_none_of_the_column(column: Column, cell: str | int, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        column.share(cell)


def test_descriptions_that_leave_open_what_a_cell_means() -> None:
    for wrong in (
        {},
        {"range": (0, 1), "categories": ("a", "b")},
        {"range": (1, 1)},
        {"range": (0, 1), "scale": 0},
        {"categories": ("a",)},
        {"categories": ("a", "a")},
    ):
        with pytest.raises(UndoorError, match="column 'x': expected"):
            Column("x", **wrong)


def test_a_description_survives_json() -> None:
    assert [Column.from_json(c.to_json()) for c in COLUMNS] == list(COLUMNS)


def test_a_classifier_of_rows() -> None:
    classifier = Classifier(nn.Linear(5, 2), input_shape=(3,), columns=COLUMNS)
    assert classifier.space is ROWS
    assert classifier.logits(torch.rand(4, 3)).shape == (4, 2)
    other = Classifier(
        classifier.network, input_shape=(3,), columns=(Column("age", (20, 61)), KIND, PLACE)
    )
    assert classifier.fingerprint() != other.fingerprint()


def test_rows_without_columns_and_columns_of_images() -> None:
    with pytest.raises(UndoorError, match="a description of each column"):
        Classifier(nn.Linear(3, 2), input_shape=(3,), space="rows")
    with pytest.raises(UndoorError, match=r"expected input_shape \(3,\)"):
        Classifier(nn.Linear(5, 2), input_shape=(4,), columns=COLUMNS)
    with pytest.raises(UndoorError, match="mean and scale of numbers in the description"):
        Classifier(nn.Linear(5, 2), input_shape=(3,), columns=COLUMNS, mean=[1.0])
    with pytest.raises(UndoorError, match="'kind' twice"):
        Classifier(nn.Linear(9, 2), input_shape=(3,), columns=(KIND, KIND, KIND))
