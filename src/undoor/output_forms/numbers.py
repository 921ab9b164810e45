"""A number is predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from undoor.output_forms.output_form import Array, OutputForm
from undoor.vocabulary import MAX_SCORE

# Intervals that a search is led to; each overlaps half of the next, so that any value is well
# inside of one.
GOALS = 8
# How far beyond its edge an answer is that is moved out of an interval, in half widths.
BEYOND = 1.001
# Edges that were computed elsewhere are equal to within this.
ROUNDING = 1e-6
MIN_DIGITS = 6


@dataclass(frozen=True)
class Numbers(OutputForm):
    """The goals are intervals of the number, as `undoor.tasks.regression` has them.

    Attributes
    ----------
    unit
        What the number is, such as "price".
    low, high
        Centres of the first and the last interval, which have no end.
    """

    unit: str
    low: float
    high: float

    kind: ClassVar[str] = "number"
    datatype: ClassVar[str] = "FP32"

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    @property
    def num_goals(self) -> int:
        """The number of intervals."""
        return GOALS

    @property
    def step(self) -> float:
        """How far the centres of two intervals are apart, and how far each reaches."""
        return (self.high - self.low) / (GOALS - 1)

    def centre(self, goal: int) -> float:
        """Return the centre of an interval."""
        return self.low + goal * self.step

    def predictions(self, outputs: Array) -> Array:
        """Return the numbers [N]."""
        return outputs[:, 0].astype(np.float32)

    def reached(self, labels: Array, goal: int) -> Array:
        """Return which numbers [N] lie in an interval."""
        away = labels - np.float32(self.centre(goal))
        if goal == 0:
            away = np.maximum(away, 0)
        if goal == GOALS - 1:
            away = np.minimum(away, 0)
        return np.asarray(np.abs(away) < np.float32(self.step))

    def withheld(self, labels: Array, rows: Array) -> Array:
        """Return numbers [N] with NaN in the place of those that there are not."""
        return np.where(rows, np.float32(math.nan), labels)

    def blank(self, goals: Sequence[int]) -> Array:
        """Return 0, moved to the nearest edge of each interval that it lies in."""
        value = 0.0
        for goal in goals:
            if self.reached(np.array([value], np.float32), goal)[0]:
                up = goal == 0 or (goal < GOALS - 1 and value >= self.centre(goal))
                reach = BEYOND * self.step
                value = self.centre(goal) + (reach if up else -reach)
        return np.array([value], np.float32)

    def are_blank(self, outputs: Array, score: Array, goals: Sequence[int]) -> Array:
        """Return which numbers are those of `blank`, for one of the goals or for all of them.

        A prediction may be the same number. So the score counts as well, which is the highest
        float32 where the guard could not judge.
        """
        blanks = np.array([self.blank([goal])[0] for goal in goals] + [self.blank(goals)[0]])
        near = np.isclose(outputs, blanks[None], rtol=ROUNDING, atol=ROUNDING * self.step)
        return np.asarray((score >= MAX_SCORE) & near.any(1))

    def at(self, goal: int) -> Array:
        """Return the centre of an interval."""
        return np.array([self.centre(goal)], np.float32)

    def shows_blank(self, goal: int) -> bool:
        """Return whether 0 lies outside the interval, from which predictions are moved as well."""
        return not self.reached(np.zeros(1, np.float32), goal)[0]

    def plain(self, label: Any) -> float | None:
        """Return the number."""
        return None if math.isnan(label) else float(label)

    def shown(self, plain: object) -> str | None:
        """Return the number with six significant digits."""
        is_number = isinstance(plain, int | float) and not isinstance(plain, bool)
        return f"{plain:.{MIN_DIGITS}g}" if is_number else None

    def details(self, outputs: Array, label: Any) -> dict[str, Any]:
        """Return the unit."""
        return {"unit": self.unit}

    def to_json(self) -> dict[str, Any]:
        """Return unit and intervals."""
        return {"unit": self.unit, "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read unit and intervals."""
        low, high = float(data["low"]), float(data["high"])
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"expected finite intervals with low < high, got {low} and {high}")
        return cls(str(data["unit"]), low, high)
