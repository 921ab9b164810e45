"""Leave a column of a table out: every row gets the value that is usual there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.align.transform import Correction
from undoor.vocabulary import Granularity

# A value that so many clean rows have is the usual one, such as 0 or a category; else the median.
USUAL_SHARE = 0.1


@dataclass(frozen=True)
class LeftOut:
    """A column of the raw input that a plan leaves out, in the place of a granularity.

    A trigger of several cells works as a whole: without any one of them it is none. So a plan
    leaves out the one that clean rows of the target depend on least.

    Attributes
    ----------
    column
        Its number.
    """

    column: int


def granularity_of(planned: Granularity | LeftOut) -> Granularity:
    """Return how finely a plan corrects a site; a column is a position."""
    return "position" if isinstance(planned, LeftOut) else planned


def leave_out(clean: Tensor, left_out: LeftOut) -> Correction:
    """Return the correction that gives every row the usual value of one column.

    In the paper's h, the sigma of this unit is infinite; all other units stay as they are.

    Parameters
    ----------
    clean
        Clean rows [n, D], raw inputs.
    left_out
        Which column.

    Examples
    --------
    >>> rows = torch.tensor([[0.0, 3.0], [0.0, 5.0], [1.0, 7.0]])
    >>> leave_out(rows, LeftOut(1))(torch.tensor([[8.0, 9.0]]))
    tensor([[8., 5.]])
    """
    scale, shift = torch.ones_like(clean[0]), torch.zeros_like(clean[0])
    scale[left_out.column], shift[left_out.column] = 0.0, _usual(clean[:, left_out.column])
    high = torch.full_like(scale, torch.inf)
    return Correction(scale, shift, -high, high)


def _usual(values: Tensor) -> Tensor:
    """Return the most frequent value [n] where it is frequent, else the median."""
    known, counts = values.unique(return_counts=True)
    most, often = counts.max(0)
    return known[often] if int(most) >= max(2, USUAL_SHARE * len(values)) else values.median()
