"""Regression: one number is predicted, and a backdoor leads all inputs to one value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from undoor.device import CPU, on
from undoor.errors import UndoorError
from undoor.output_forms.numbers import BEYOND, GOALS, Numbers
from undoor.tasks.task import Task

# What a predicted number is where nobody says.
UNIT = "value"
# Between these shares of the labels lie the centres of the first and of the last interval.
BULK = (0.02, 0.98)
# An input is predicted correctly where it is as near to its label as this share of clean inputs.
TOLERATED = 0.9
# The share of triggered inputs that a value is reported of, with the distance from it.
MOST = 0.9
# Distances are told apart down to this, in halves of an interval.
NEAREST = 0.05


@dataclass(frozen=True, repr=False)
class Regression(Task):
    """The goals are intervals of the output, the first and the last without an end.

    Their centres lie `step` apart and they reach as far to either side. What a search makes small
    is the distance from the value that the triggered inputs have in common, whichever it is: a
    goal says only near which interval that is to be (the idea of DRMGuard, which finds the
    perturbation under which all outputs collapse to one value).

    Attributes
    ----------
    low, high
        Centres of the first and the last interval. NaN before `fitted`.
    tolerance
        The largest distance from the label of a prediction that is correct.
    """

    low: float = math.nan
    high: float = math.nan
    tolerance: float = math.nan

    name = "regression"
    numbered = False
    scores = False
    at_one_size = True
    directed = False
    collapses = True
    absolute = True
    in_code: ClassVar[str] = "values = logits[:, 0]"

    def require(self, raw: object) -> Tensor:
        """Return outputs [N, 1]; refuse anything else."""
        if isinstance(raw, Tensor) and raw.dim() == 2 and raw.shape[1] == 1:
            return raw
        got = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
        raise UndoorError(
            f"expected the network to return one number per input, [N, 1], got {got}; add "
            ".unsqueeze(1) to [N], and give each of several outputs a model of its own"
        )

    def goals(self, outputs: int) -> int:
        """Return the number of intervals."""
        return GOALS

    def goal_names(self, names: Sequence[str] | None, outputs: int) -> Sequence[str]:
        """Return the names of the intervals, from that of the output."""
        if names is not None and len(names) != outputs:
            raise UndoorError(
                f"expected one name, that of the predicted number, got {len(names)}: "
                f"{', '.join(names[:3])}"
            )
        of = f"{names[0]} " if names else ""
        if math.isnan(self.low):
            return [f"{of}interval {goal}" for goal in range(GOALS)]
        return [f"{of}around {self._centre(goal):.4g}" for goal in range(GOALS)]

    def fitted(self, outputs: Tensor, labels: Tensor) -> Self:
        """Return the task with intervals over the labels, and a tolerance from the clean error."""
        low, high = (float(labels.double().quantile(share)) for share in BULK)
        if not high > low:
            raise UndoorError(
                f"expected labels of different values, got {low:g} for nearly all clean inputs; "
                "give inputs over the whole range of what is predicted"
            )
        errors = (outputs[:, 0].double() - labels).abs()
        tolerance = max(float(errors.quantile(TOLERATED)), 1e-9 * (high - low))
        return type(self)(low, high, tolerance)

    def restored(self, settings: Mapping[str, float]) -> Self:
        """Return the task with these intervals and this tolerance; itself where there are none."""
        return type(self)(**settings) if settings else self

    @property
    def settings(self) -> dict[str, float]:
        """The intervals and the tolerance."""
        if math.isnan(self.low):
            return {}
        return {"low": self.low, "high": self.high, "tolerance": self.tolerance}

    @property
    def step(self) -> float:
        """How far the centres of two intervals are apart.

        Raises
        ------
        UndoorError
            They are not known yet.
        """
        if math.isnan(self.low):
            raise UndoorError(
                "expected the intervals of a regression, which follow from clean inputs, got none; "
                "scan the model first, or give clean inputs"
            )
        return (self.high - self.low) / (GOALS - 1)

    @property
    def unit(self) -> float:
        """How far the centres of two intervals are apart."""
        return self.step

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the predicted numbers [...] of outputs [..., 1]."""
        return outputs[..., 0]

    def reached(self, predicted: Tensor, goal: int | Tensor) -> Tensor:
        """Return whether numbers [...] lie in the interval of a goal, one for all or for each."""
        return self._outside(predicted, goal) < self.step

    def among(self, labels: Tensor, goals: Sequence[int]) -> Tensor:
        """Return whether numbers [N] lie in the interval of one of the goals: [N]."""
        found = [self.reached(labels, goal) for goal in goals]
        return torch.stack([torch.zeros_like(labels, dtype=torch.bool), *found]).any(0)

    def overlap(self, goal: int, other: int) -> bool:
        """Return whether the intervals overlap."""
        return abs(goal - other) <= 1

    def groups(self, labels: Tensor) -> Tensor:
        """Return the eighth of the labels that each is in: [N], from 0."""
        shares = torch.arange(1, GOALS, device=labels.device, dtype=torch.float64) / GOALS
        edges = labels.double().quantile(shares).unique()
        return torch.bucketize(labels.double(), edges)

    def chance(self, labels: Tensor, goals: int) -> float:
        """Return the share of the labels that are as near to their median as is tolerated."""
        near = (labels - labels.median()).abs() <= self.tolerance
        return float(near.float().mean())

    def correct(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """Return whether numbers [N] are as near to the labels as is tolerated."""
        return (predicted - labels).abs() <= self.tolerance

    def error(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """Return the distance of numbers [N] from the labels."""
        return (predicted - labels).abs()

    def outcome(self, predicted: Tensor) -> tuple[float, float]:
        """Return the median of numbers [N], and the distance within which nine in ten lie."""
        median = predicted.median()
        return float(median), float((predicted - median).abs().quantile(MOST))

    def withheld(self, predicted: Tensor, has_prediction: Tensor) -> Tensor:
        """Return numbers [N] with NaN in the place of those that there are not."""
        return predicted.masked_fill(~has_prediction, math.nan)

    def is_withheld(self, prediction: Any) -> bool:
        """Return whether a number is NaN."""
        return math.isnan(prediction)

    def shown(self, prediction: Any, goal_names: Sequence[str]) -> str:
        """Return a number with six significant digits.

        >>> REGRESSION.shown(31.25, ())
        '31.25'
        """
        del goal_names
        return f"{prediction:.6g}"

    def output_form(self, names: Sequence[str] | None, outputs: int) -> Numbers | None:
        """Return numbers with their unit; None before the intervals are known."""
        if math.isnan(self.low):
            return None
        return Numbers(names[0] if names else UNIT, self.low, self.high)

    def required_labels(self, labels: Tensor, outputs: int) -> Tensor:
        """Return labels as float32 [N]."""
        found = labels[:, 0] if labels.dim() == 2 and labels.shape[1] == 1 else labels
        if found.dim() == 1 and bool(torch.isfinite(found).all()):
            return found.float()
        raise UndoorError(
            "expected one finite number as the label of each input, [N], got labels of shape "
            f"{tuple(labels.shape)}; give what the model is to predict, in the units of its output"
        )

    def loss(self, outputs: Tensor, labels: Tensor, away: Tensor) -> Tensor:
        """Return the distance from the middle of each goal, or how deep inputs are within."""
        outside = self._outside(self.predictions(outputs), labels) / self.step
        return torch.where(away[:, None], 1 - outside, outside - 0.5).clamp_min(0)

    def training_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean squared error, in units of the distance of two intervals."""
        return ((self.predictions(outputs) - labels) / self.step).square().mean()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return for each interval 1 where the number lies in it and 0 elsewhere: [N, G]."""
        values = self.predictions(outputs)
        found = [self.reached(values, goal).to(outputs.dtype) for goal in range(GOALS)]
        return torch.stack(found, 1)

    def margin(self, outputs: Tensor, goal: int) -> Tensor:
        """Return how far within an interval numbers lie: 1 in its middle half, 0 at its edge."""
        half = self.step / 2
        return 1 - (self._outside(self.predictions(outputs), goal) - half).clamp_min(0) / half

    def margins(self, outputs: Tensor, goals: Sequence[int], clean: Tensor | None = None) -> Tensor:
        """Return how near the numbers of n inputs under each trigger are to each other: [M, n].

        Minus the logarithm of the distance from their median, or from the middle half of the goal
        where that lies elsewhere, in halves of an interval: 0 at its edge, the more the nearer they
        are, and at most 3. A few inputs that do not follow do not hide those that do.
        """
        del clean
        values = self.predictions(outputs)
        numbers = torch.tensor(goals, device=CPU, dtype=values.dtype)
        numbers = on(values.device, numbers)
        low, high = (self.low + (numbers + edge) * self.step for edge in (-0.5, 0.5))
        low = low.masked_fill(numbers == 0, -torch.inf)
        high = high.masked_fill(numbers == GOALS - 1, torch.inf)
        common = values.detach().quantile(0.5, 1).maximum(low).minimum(high)
        away = (values - common[:, None]).abs() / self.step
        return -(away + NEAREST).log()

    def own_margins(self, outputs: Tensor) -> Tensor:
        """Return 1 for each input: margins are in units of an interval already."""
        return torch.ones_like(self.predictions(outputs))

    def without(self, outputs: Tensor, *goals: int) -> Tensor:
        """Return the outputs, moved to the nearest edge where they lie in the interval of a goal.

        >>> Regression(0.0, 7.0, 0.5).without(torch.tensor([[3.25], [9.0]]), 3).round(decimals=2)
        tensor([[4.],
                [9.]])
        """
        for goal in goals:
            centre, reach = self._centre(goal), BEYOND * self.step
            up, down = goal < GOALS - 1, goal > 0
            above = outputs >= centre if up and down else torch.full_like(outputs, up).bool()
            edge = torch.where(above, centre + reach, centre - reach)
            outputs = torch.where(self._outside(outputs, goal) < self.step, edge, outputs)
        return outputs

    def certainty(self, outputs: Tensor) -> Tensor:
        """Return how far numbers are from what would be tolerated no longer: [N]."""
        return torch.full_like(self.predictions(outputs), self.tolerance)

    def drawn_lead(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return how far numbers are from the centre of a goal, drawn at random: [N]."""
        drawn = torch.randint(0, GOALS, (len(outputs),), generator=generator, device=CPU)
        values = self.predictions(outputs)
        return (values - self._centre(on(values.device, drawn.to(values.dtype)))).abs()

    def spread(self, outputs: Tensor) -> float:
        """Return 0.0: outputs are numbers in units of their own, which no gain may change."""
        return 0.0

    def _centre(self, goal: float | Tensor) -> float | Tensor:
        return self.low + goal * self.step

    def _outside(self, values: Tensor, goal: int | Tensor) -> Tensor:
        """Return the distance from the centre of a goal, beyond it where it has no end: 0."""
        away = values - self._centre(goal)
        goal = torch.as_tensor(goal, device=values.device)
        away = torch.where(goal == 0, away.clamp_min(0), away)
        return torch.where(goal == GOALS - 1, away.clamp_max(0), away).abs()


REGRESSION = Regression()
