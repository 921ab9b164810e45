"""The values of a column that a search of cells tries, where the model shows its thresholds."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.black_boxes import black_box_in
from undoor.classifier import Classifier
from undoor.device import CPU, on_cpu
from undoor.spaces.columns import seen_width

# Intervals between thresholds that are tried of a number first, together with others.
INTERVALS = 12


def between_thresholds(
    classifier: Classifier, column: int, x: Tensor, limit: int | None = INTERVALS
) -> Tensor | None:
    """Return values of a number that stand for the intervals between the model's own thresholds.

    All values of an interval are the same to the model. A value that a trigger planted lies between
    two thresholds that many trees use: intervals come first by how often their less used threshold
    is used, the narrow ones before others. An interval is represented by the median of the clean
    rows in it, or by its middle.

    Parameters
    ----------
    classifier
        A model of rows.
    column
        The number of the column, which has a range.
    x
        Clean rows [N, D].
    limit
        How many intervals are taken at most; None for all.

    Returns
    -------
    Tensor or None
        Values [m] in [0, 1], sorted; None where the thresholds are not known.
    """
    edges = threshold_shares(classifier, column)
    if edges is None:
        return None
    inner, uses = edges.unique_consecutive(return_counts=True)
    ends = torch.cat([torch.zeros(1, device=CPU), inner, torch.ones(1, device=CPU)])
    most = uses.max() if len(uses) else torch.ones((), dtype=torch.long, device=CPU)
    beside = torch.cat([most[None], uses, most[None]])
    planted = torch.minimum(beside[:-1], beside[1:])
    # Widths are below 1, so that they decide between equal uses alone.
    order = (planted - ends.diff()).argsort(descending=True, stable=True)[:limit]
    seen = on_cpu(x[:, column])
    values = [_representative(seen, ends[i], ends[i + 1]) for i in order.tolist()]
    return torch.tensor(values, device=CPU).unique()


def every_interval(classifier: Classifier, x: Tensor) -> list[tuple[int, float]]:
    """Return a cell (column, value) for each interval between the model's own thresholds.

    None of a model that does not show them.

    Parameters
    ----------
    classifier, x
        As of `between_thresholds`.
    """
    out: list[tuple[int, float]] = []
    for index, column in enumerate(classifier.columns):
        if not column.categories:
            found = between_thresholds(classifier, index, x, None)
            out += [] if found is None else [(index, value) for value in found.tolist()]
    return out


def threshold_shares(classifier: Classifier, column: int) -> Tensor | None:
    """Return the model's thresholds of a number as shares of its range, sorted, [m] on the CPU.

    None where they are not known.
    """
    box, described = black_box_in(classifier), classifier.columns[column]
    found = None if box is None else box.thresholds(seen_width(classifier.columns[:column]))
    if found is None or described.range is None:
        return None
    low, high = described.range
    shares = (on_cpu(found).double() * described.scale + described.mean - low) / (high - low)
    return shares[(shares > 0) & (shares <= 1)].float()


def _representative(seen: Tensor, low: Tensor, high: Tensor) -> float:
    inside = seen[(seen >= low) & ((seen < high) | (high == 1))]
    return float(inside.median() if len(inside) else (low + high) / 2)
