"""Each of several labels is predicted to be on or off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from undoor.output_forms.output_form import Array, OutputForm
from undoor.vocabulary import REJECTED

# The smallest output of a label that was turned over, in float32: no tie.
MIN_LOGIT = 1e-6
# A set without any label, as people read it.
NO_LABEL = "no label"


@dataclass(frozen=True)
class LabelSets(OutputForm):
    """Goal 2 l is label l off, goal 2 l + 1 is label l on; a label is a row of 0 and 1.

    Attributes
    ----------
    names
        Of the labels.
    """

    names: tuple[str, ...]

    kind: ClassVar[str] = "labels"

    unit = None

    @property
    def num_outputs(self) -> int:
        """The number L of labels."""
        return len(self.names)

    @property
    def num_goals(self) -> int:
        """Two for each label."""
        return 2 * len(self.names)

    @property
    def label_shape(self) -> tuple[int, ...]:
        """One place for each label."""
        return (len(self.names),)

    def predictions(self, outputs: Array) -> Array:
        """Return 1 for each label that is on: [N, L]."""
        return (outputs > 0).astype(np.int64)

    def reached(self, labels: Array, goal: int) -> Array:
        """Return in which rows [N] of labels [N, L] that of the goal is on, or off."""
        return np.asarray(labels[:, goal // 2] == goal % 2)

    def blank(self, goals: Sequence[int]) -> Array:
        """Return 0 for each label, and next to 0 the other way for those of the goals."""
        blank = np.zeros(self.num_outputs, np.float32)
        for goal in goals:
            blank[goal // 2] = (1 - 2 * (goal % 2)) * MIN_LOGIT
        return blank

    def are_blank(self, outputs: Array, score: Array, goals: Sequence[int]) -> Array:
        """Return which outputs are those of `blank`, for one of the goals or for all of them."""
        blanks = [self.blank([goal]) for goal in goals] + [self.blank(goals)]
        return np.any([(outputs == blank).all(1) for blank in blanks], axis=0)

    def at(self, goal: int) -> Array:
        """Return 1 or -1 for the label of the goal, and -1 for the others."""
        outputs = np.full(self.num_outputs, -1, np.float32)
        outputs[goal // 2] = 2 * (goal % 2) - 1
        return outputs

    def plain(self, label: Any) -> list[int] | None:
        """Return a list of 0 and 1."""
        return None if label[0] == REJECTED else [int(bit) for bit in label]

    def shown(self, plain: object) -> str | None:
        """Return the names of the labels that are on.

        >>> LabelSets(("cat", "dog")).shown([0, 1]), LabelSets(("cat",)).shown([0])
        ('dog', 'no label')
        """
        if not isinstance(plain, list) or len(plain) != len(self.names):
            return None
        on = [name for name, bit in zip(self.names, plain, strict=True) if bit]
        return ", ".join(on) or NO_LABEL

    def details(self, outputs: Array, label: Any) -> dict[str, Any]:
        """Return the labels that are on, each with its number, its name and its probability."""
        with np.errstate(over="ignore"):
            scores = 1 / (1 + np.exp(-np.asarray(outputs, np.float64)))
        return {
            "labels": [
                {"label": number, "class": name, "score": float(score)}
                for number, (name, score) in enumerate(zip(self.names, scores, strict=True))
                if label[number] == 1
            ]
        }

    def to_json(self) -> dict[str, Any]:
        """Return the names."""
        return {"names": list(self.names)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the names."""
        return cls(tuple(map(str, data["names"])))
