"""What clean rows of a table say about a row without the model: the reference of searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.spaces.columns import Column
from undoor.tasks.task import Task

# Numbers beyond these quantiles of the clean rows count as the quantile: a line that goes on says
# nothing where there are no rows.
BULK = (0.02, 0.98)
# Of the squares of the weights, beside the mean loss of the task.
RIDGE = 0.01
STEPS = 100


@dataclass(frozen=True, eq=False)
class RowEvidence:
    """A linear model of clean rows and their true labels, which no backdoor has touched.

    A logistic regression where the task is to classify.

    Attributes
    ----------
    columns
        Of the model.
    low, high
        [D], the bulk of each column, in raw inputs.
    mean, scale
        [D], of the clean rows within it.
    weights
        [features + 1, K].
    unit
        What outputs are divided by: the median margin of what clean rows are predicted as.
    """

    columns: tuple[Column, ...]
    low: Tensor
    high: Tensor
    mean: Tensor
    scale: Tensor
    weights: Tensor
    unit: float

    @classmethod
    def of(cls, columns: Sequence[Column], x: Tensor, y: Tensor, outputs: int, task: Task) -> Self:
        """Fit it to clean rows x [N, D] with labels y [N].

        Parameters
        ----------
        columns
            Of the model.
        outputs
            How many the model has.
        task
            Whose loss and margin are taken.
        """
        low, high = (x.double().quantile(share, 0) for share in BULK)
        inside = x.double().clamp(low, high)
        scale = inside.std(0).clamp_min(1e-6)
        blank = cls(
            tuple(columns), low, high, inside.mean(0), scale, torch.empty(0, device=x.device), 1.0
        )
        features = blank._features(x)
        unit_of_outputs = task.unit
        shape = (features.shape[1], outputs)
        weights = torch.zeros(shape, dtype=torch.double, device=x.device, requires_grad=True)
        fit = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            fit.zero_grad()
            out = task.training_loss(unit_of_outputs * (features @ weights), y)
            out = out + RIDGE * weights[:-1].square().sum()
            out.backward()
            return out

        with torch.enable_grad():
            fit.step(loss)
        learned = unit_of_outputs * weights.detach()
        unit = float(task.own_margins(features @ learned).median())
        return cls(tuple(columns), low, high, blank.mean, scale, learned, unit if unit > 0 else 1.0)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of rows x [N, D], in units of the median margin."""
        return self._features(x) @ self.weights / self.unit

    def _features(self, x: Tensor) -> Tensor:
        """Return numbers as shares of their spread, one number per category, and 1."""
        scaled = (x.double().clamp(self.low, self.high) - self.mean) / self.scale
        parts = [
            _one_of(x[:, index], len(column.categories))
            if column.categories
            else scaled[:, index : index + 1]
            for index, column in enumerate(self.columns)
        ]
        return torch.cat([*parts, torch.ones_like(scaled[:, :1])], 1)


def _one_of(shares: Tensor, count: int) -> Tensor:
    return F.one_hot((shares * (count - 1)).round().long(), count).double()
