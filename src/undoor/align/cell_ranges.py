"""The ranges of cells that do what a trigger's cells do, found by asking a black box."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import CPU, on_cpu
from undoor.families.cell_values import threshold_shares
from undoor.inversion.moved_rows import ANSWERING
from undoor.triggers import Stamp

# A value belongs to the range while it moves this share of the rows that the trigger moves.
STILL_MOVED = 0.8
# Without thresholds, even steps of the range of a number are asked.
STEPS = 64


def cell_ranges(
    classifier: Classifier, trigger: Stamp, x: Tensor, target: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return columns, lowest and highest values, [k] each, that act as the trigger's cells.

    Of a number, the intervals between the model's thresholds around the trigger's value in which it
    still moves rows; of a category, itself.

    Parameters
    ----------
    classifier
        A model of rows.
    trigger
        Cells that are replaced.
    x
        Clean rows [N, D] of source classes.
    target
        Where it moves them.
    """
    columns = on_cpu(trigger.mask).nonzero()[:, 0]
    found = [_range(classifier, trigger, x, target, int(column)) for column in columns]
    low, high = (torch.tensor(ends, device=CPU) for ends in zip(*found, strict=True))
    return columns, low, high


def _range(
    classifier: Classifier, trigger: Stamp, x: Tensor, target: int, column: int
) -> tuple[float, float]:
    value = float(trigger.pattern[column])
    categories = len(classifier.columns[column].categories)
    if categories:
        half = 0.5 / (categories - 1)
        return value - half, value + half
    edges = threshold_shares(classifier, column)
    if edges is None:
        edges = torch.linspace(0, 1, STEPS + 1, device=CPU)[1:-1]
    ends = torch.cat([torch.zeros(1, device=CPU), edges.unique(), torch.ones(1, device=CPU)])
    moved = _moved(classifier, trigger, x, target, column, (ends[:-1] + ends[1:]) / 2)
    here = min(int((ends[1:] <= value).sum()), len(moved) - 1)
    enough = moved >= STILL_MOVED * float(moved[here])
    first = last = here
    while first > 0 and bool(enough[first - 1]):
        first -= 1
    while last < len(moved) - 1 and bool(enough[last + 1]):
        last += 1
    return min(value, float(ends[first])), max(value, float(ends[last + 1]))


def _moved(
    classifier: Classifier, trigger: Stamp, x: Tensor, target: int, column: int, values: Tensor
) -> Tensor:
    """Return which share of the rows each value [m] of a column moves with the other cells: [m]."""
    rows = trigger(x).repeat(len(values), 1, 1)
    rows[:, :, column] = values.to(rows)[:, None]
    answers = classifier.predict(rows.flatten(0, 1), ANSWERING)
    hits = classifier.task.reached(answers, target).view(len(values), -1)
    return on_cpu(hits.float().mean(1))
