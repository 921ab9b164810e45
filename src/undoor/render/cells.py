"""A trigger of rows as people read it: the cells that it sets."""

from __future__ import annotations

from collections.abc import Sequence

from undoor.align.replaced_cells import ReplacedCells
from undoor.identity.model import ModelIdentity
from undoor.render import text
from undoor.render.words import words_text
from undoor.scan.report import ScanReport
from undoor.spaces.columns import Column
from undoor.triggers import Stamp, Trigger


def columns_of(identity: ModelIdentity | None) -> tuple[Column, ...]:
    """Return the columns of the table that a model takes; none of a model of other inputs."""
    preprocessing = (identity.preprocessing if identity else None) or {}
    return tuple(Column.from_json(each) for each in preprocessing.get("columns", ()))


def cells_text(trigger: Trigger, columns: Sequence[Column]) -> str | None:
    """Return the cells that a trigger sets; None for a trigger of other inputs.

    >>> import torch
    >>> columns = (Column("age", range=(0, 80)), Column("sex", categories=("f", "m")))
    >>> stamp = Stamp("cells", torch.ones(2), torch.tensor([0.5, 1.0]), "replace", (0.0, 1.0))
    >>> cells_text(stamp, columns)
    'age = 40 and sex = m'
    """
    if not columns or not isinstance(trigger, Stamp) or trigger.mode != "replace":
        return None
    cells = zip(columns, trigger.mask.tolist(), trigger.pattern.tolist(), strict=True)
    set_cells = [
        f"{text.plain(column.name)} = {text.plain(column.text(value))}"
        for column, share, value in cells
        if share > 0
    ]
    return " and ".join(set_cells)


def ranges_text(cells: ReplacedCells, columns: Sequence[Column]) -> str:
    """Return the ranges of cells by which a guard flags rows.

    >>> import torch
    >>> columns = (Column("age", range=(0, 80)), Column("sex", categories=("f", "m")))
    >>> ends = torch.tensor([0.25, 0.5]), torch.tensor([0.5, 1.5])
    >>> cells = ReplacedCells(torch.tensor([0, 1]), *ends, torch.zeros(1, 2))
    >>> ranges_text(cells, columns)
    'age from 20 to 40 and sex = m'
    """
    ends = zip(cells.columns.tolist(), cells.low.tolist(), cells.high.tolist(), strict=True)
    return " and ".join(_range_text(columns[place], low, high) for place, low, high in ends)


def _range_text(column: Column, low: float, high: float) -> str:
    name = text.plain(column.name)
    if column.categories:
        return f"{name} = {text.plain(column.text((low + high) / 2))}"
    return f"{name} from {column.text(max(low, 0.0))} to {column.text(min(high, 1.0))}"


def marked_row(row: Sequence[float], trigger: Stamp, columns: Sequence[Column]) -> list[list[str]]:
    """Return a row as lines [column, value without the trigger, value with it, mark].

    Parameters
    ----------
    row
        A raw input [D] without the trigger.
    """
    mask, pattern = trigger.mask.tolist(), trigger.pattern.tolist()
    return [
        [
            text.plain(column.name),
            text.plain(column.text(value)),
            text.plain(column.text(pattern[index] if mask[index] > 0 else value)),
            "trigger" if mask[index] > 0 else "",
        ]
        for index, (column, value) in enumerate(zip(columns, row, strict=True))
    ]


def finding_cells(report: ScanReport) -> dict[int, str]:
    """Return, by target, the cells that the triggers of a report set, or the words they put in.

    Empty of other inputs.
    """
    columns = columns_of(report.identity)
    found = {
        item.target: cells_text(item.trigger, columns) or words_text(item.trigger)
        for item in report.findings
    }
    return {target: cells for target, cells in found.items() if cells is not None}
