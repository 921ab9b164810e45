"""One flagged input as a database keeps it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from undoor.output_forms.output_form import Plain
from undoor.serve.served_model import Array

NUMBERS = "<f4"
MAX_AXES = 4


@dataclass(frozen=True, eq=False)
class KeptInput:
    """A flagged input and what was answered.

    Attributes
    ----------
    time
        Seconds since 1970.
    target
        The target whose guard flagged it; None where no guard judged it.
    label
        What was predicted, as `undoor.output_forms.output_form.OutputForm.plain` gives it; None
        where nothing was.
    score
        The guard's score; None where there is none.
    reason
        One of `undoor.serve.answers.REASONS`.
    x
        The raw input [*input_shape] float32.
    number
        Its number in the database; None until it is there.
    """

    time: float
    model_sha256: str
    repair_sha256: str
    target: int | None
    label: Plain | None
    score: float | None
    reason: str
    x: Array
    number: int | None = None

    def columns(self) -> dict[str, Any]:
        """Return the columns of the table but its number."""
        x = np.ascontiguousarray(self.x, NUMBERS)
        named = ("time", "model_sha256", "repair_sha256", "target", "score", "reason")
        is_class = isinstance(self.label, int)
        return {
            **{name: getattr(self, name) for name in named},
            "label": self.label if is_class else None,
            "shape": json.dumps(list(x.shape)),
            "input": x.tobytes(),
        }

    @property
    def prediction(self) -> str | None:
        """What was predicted as JSON; None of a class, whose number has a column of its own."""
        is_class = self.label is None or isinstance(self.label, int)
        return None if is_class else json.dumps(self.label)


def kept_input(row: Mapping[str, Any]) -> KeptInput | None:
    """Return the input that a row of the table holds; None where it is not whole.

    A database may be written by others: nothing of it is run, and sizes are compared first.
    """
    try:
        shape = json.loads(row["shape"])
        content = bytes(row["input"])
        prediction = row["prediction"]
        label = row["label"] if prediction is None else json.loads(prediction)
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(shape, list) or not 1 <= len(shape) <= MAX_AXES:
        return None
    if any(type(side) is not int or side < 1 for side in shape):
        return None
    if math.prod(shape) * np.dtype(NUMBERS).itemsize != len(content):
        return None
    return KeptInput(
        time=float(row["time"]),
        model_sha256=row["model_sha256"],
        repair_sha256=row["repair_sha256"],
        target=row["target"],
        label=label,
        score=row["score"],
        reason=row["reason"],
        x=np.frombuffer(content, NUMBERS).reshape(shape),
        number=row["id"],
    )
