"""Predictions without a trigger's cells: what stands in the place of corrections in black boxes.

There is no layer to correct. Rows whose cells lie in the trigger's ranges are predicted with
these cells replaced by those of clean rows, on average over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.device import CPU, on, on_cpu
from undoor.plain_weights import shared_copy

# Rows are asked with the cells of so many clean rows.
REPLACEMENTS = 32
# Of a probability, so that its logarithm is finite.
SMALLEST = 1e-6


@dataclass(frozen=True, eq=False)
class ReplacedCells:
    """The cells of a trigger, and what replaces them.

    Attributes
    ----------
    columns
        [k], whole numbers, the columns of the cells.
    low, high
        [k], the ranges of raw cells that count as the trigger, both ends included.
    values
        [M, k], cells of clean rows.
    """

    columns: Tensor
    low: Tensor
    high: Tensor
    values: Tensor

    @property
    def parts(self) -> Mapping[str, Tensor]:
        """The tensors by their names, as files hold them: float32."""
        return {name: part.float() for name, part in vars(self).items()}

    @classmethod
    def of_parts(cls, parts: Mapping[str, Tensor]) -> Self:
        """Return the cells of such tensors.

        Raises
        ------
        KeyError, ValueError
            A part is missing, or columns are no whole numbers.
        """
        columns = parts["columns"]
        # Written so that NaN is refused.
        if not bool((columns == columns.round()).all()) or not bool((columns.abs() < 2**24).all()):
            raise ValueError("columns of cells that are no whole numbers")
        return cls(columns.long(), parts["low"], parts["high"], parts["values"])

    def to(self, device: torch.device) -> Self:
        """Return the cells on a device."""
        return type(self)(**{name: on(device, part) for name, part in vars(self).items()})

    def inside(self, x: Tensor) -> Tensor:
        """Return which rows x [N, D] have all these cells in their ranges: [N]."""
        cells = x[:, self.columns]
        return ((cells >= self.low) & (cells <= self.high)).all(1)

    def replaced(self, x: Tensor) -> Tensor:
        """Return rows x [N, D] with the cells of each clean row: [N, M, D]."""
        out = x[:, None].repeat(1, len(self.values), 1)
        out[:, :, self.columns] = self.values.to(x.dtype).expand(len(x), -1, -1)
        return out


class WithoutCells(nn.Module):
    """A classifier that does not see the trigger's cells of rows in their ranges.

    Other rows have the logits of the classifier itself; rows in the ranges the logarithm of their
    mean probabilities.
    """

    def __init__(self, classifier: Classifier, cells: ReplacedCells) -> None:
        super().__init__()
        self.classifier = shared_copy(classifier)
        for name, part in vars(cells).items():
            self.register_buffer(name, part.clone())

    @property
    def cells(self) -> ReplacedCells:
        """What is replaced."""
        names = [item.name for item in fields(ReplacedCells)]
        return ReplacedCells(**{name: self.get_buffer(name) for name in names})

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, K] of rows x [N, D]."""
        cells = self.cells
        inside = cells.inside(x)
        out = self.classifier(x).float()
        if bool(inside.any()):
            rows = cells.replaced(x[inside])
            logits = self.classifier(rows.flatten(0, 1)).float()
            each = self.classifier.task.probabilities(logits)
            out[inside] = each.view(*rows.shape[:2], -1).mean(1).clamp_min(SMALLEST).log()
        return out


def replacements(x: Tensor, columns: Tensor, generator: torch.Generator) -> Tensor:
    """Return the cells [M, k] of clean rows x [N, D] that replace those of a trigger."""
    drawn = torch.randperm(len(x), generator=generator, device=CPU)[:REPLACEMENTS]
    return on_cpu(x)[drawn][:, on_cpu(columns)]
