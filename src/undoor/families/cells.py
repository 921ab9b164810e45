"""Cells of a table: a few columns, each set to a value that it may have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.device import CPU, on_cpu
from undoor.families.at_size import AtSize
from undoor.families.bank import TriggerBank
from undoor.families.family import Family, InRepair
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.rows import ROWS
from undoor.triggers import Stamp, Trigger

Tried = Callable[[Classifier, Tensor], Sequence[tuple[int, float]]]
# Beside the values of clean rows, so many even steps of the range of a number are tried.
STEPS = 8
# Quantiles of the clean rows that are tried of a number.
QUANTILES = 8
# Of clean rows, where numbers are tried together.
INNER = (0.01, 0.99)


class CellsBank(TriggerBank):
    """x with some cells replaced. The columns stay as they are, the values of numbers are learned.

    Candidates start without any cell: `undoor.inversion.cell_search` chooses them. The size is the
    number of cells.

    Attributes
    ----------
    categories
        [D], how many categories each column has; 0 of numbers.
    """

    family = "table cells"
    step_size = 0.01
    categories: Tensor

    def __init__(self, count: int, classifier: Classifier) -> None:
        super().__init__(classifier.bounds)
        shape = (count, *classifier.input_shape)
        self.mask = nn.Parameter(torch.zeros(shape, device=CPU), requires_grad=False)
        self.values = nn.Parameter(torch.full(shape, 0.5, device=CPU))
        counts = [len(column.categories) for column in classifier.columns]
        self.register_buffer("categories", torch.tensor(counts, device=CPU), False)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return rows x [M, n, D] with the cells replaced."""
        values = torch.where(self.categories > 0, self.values.detach(), self.values)
        return x + (values[:, None] - x) * self.mask[:, None]

    def sizes(self) -> Tensor:
        """Return the numbers [M] of cells."""
        return self.mask.sum(1)

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger, its numbers within their range."""
        values = self.values[index].detach().clamp(*self.bounds)
        mask = self.mask[index].detach().clone()
        return Stamp(self.family, mask, mask * values, "replace", self.bounds)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Stamp)
        with torch.no_grad():
            self.mask[index] = trigger.mask
            self.values[index] = trigger.pattern


def _make(
    count: int, classifier: Classifier, _x: Tensor, _generator: torch.Generator, /
) -> CellsBank:
    return CellsBank(count, classifier)


def cells_alone(classifier: Classifier, x: Tensor) -> list[tuple[int, float]]:
    """Return the cells (column, value in [0, 1]) that a search tries one by one.

    Of a number the quantiles of the clean rows and even steps of its range; of a category all.

    Parameters
    ----------
    classifier
        A model of rows.
    x
        Clean rows [N, D].
    """
    return _cells(classifier, x, torch.zeros_like(x[0]), torch.ones_like(x[0]))


def cells_together(classifier: Classifier, x: Tensor) -> list[tuple[int, float]]:
    """Return the cells that are tried together: as of `cells_alone`, in the range of clean rows.

    Not the 1 % of them at either end: numbers that are both at the edge of the clean rows or beyond
    it move any network, which has seen hardly any such rows.
    """
    low, high = (x.quantile(share, 0, interpolation="nearest") for share in INNER)
    return [
        (column, value)
        for column, value in _cells(classifier, x, low, high)
        if classifier.columns[column].categories
        or float(low[column]) <= value <= float(high[column])
    ]


def _cells(classifier: Classifier, x: Tensor, low: Tensor, high: Tensor) -> list[tuple[int, float]]:
    """Return the cells with even steps of numbers from low to high, [D] each."""
    out = []
    shares = torch.linspace(0, 1, QUANTILES + 1, device=CPU)
    for index, column in enumerate(classifier.columns):
        if column.categories:
            values = torch.linspace(0, 1, len(column.categories), device=CPU)
        else:
            seen = on_cpu(x[:, index]).quantile(shares, interpolation="nearest")
            steps = torch.linspace(float(low[index]), float(high[index]), STEPS + 1, device=CPU)
            values = torch.cat([seen, steps]).unique()
        out += [(index, value) for value in values.tolist()]
    return out


CELLS = Family(
    name=CellsBank.family,
    unit="cells",
    make=_make,
    effort=Effort(1, Schedule(steps=40, batch=8, weight=0.001)),
    spaces=frozenset({ROWS.name}),
    # Found by trying, not by gradients.
    on_request=frozenset({ROWS.name}),
    uncalibrated=True,
    in_repair=InRepair(alone=True, in_turn=True),
)


def _of_size(name: str, size: int, cells: Tried) -> Family:
    plan = AtSize(size=size, tried=64, relative=0.0, spread=0.0)
    return CELLS.at_one_size(name, plan, uncalibrated=True, cells=cells)


ONE_CELL = _of_size("one cell", 1, cells_alone)
TWO_CELLS = _of_size("two cells", 2, cells_together)
THREE_CELLS = _of_size("three cells", 3, cells_together)
