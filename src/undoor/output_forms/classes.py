"""One of several classes is predicted: the one with the highest score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from undoor.output_forms.output_form import NONE, Array, OutputForm
from undoor.vocabulary import FLAG, NO_SCORE, REJECTED


@dataclass(frozen=True)
class Classes(OutputForm):
    """The goals are the classes, and a label is the number of one.

    Attributes
    ----------
    names
        Of the classes.
    """

    names: tuple[str, ...]

    kind: ClassVar[str] = "class"
    no_label: ClassVar[int | None] = REJECTED

    unit = None

    @property
    def num_outputs(self) -> int:
        """The number of classes."""
        return len(self.names)

    @property
    def num_goals(self) -> int:
        """The number of classes."""
        return len(self.names)

    def predictions(self, outputs: Array) -> Array:
        """Return the classes with the highest outputs: [N]."""
        return outputs.argmax(1).astype(np.int64)

    def reached(self, labels: Array, goal: int) -> Array:
        """Return which labels [N] are this class."""
        return np.asarray(labels == goal)

    def blank(self, goals: Sequence[int]) -> Array:
        """Return 0 for all classes but the goals, which have the lowest float32."""
        blank = np.zeros(self.num_outputs, np.float32)
        blank[list(goals)] = NO_SCORE
        return blank

    def are_blank(self, outputs: Array, score: Array, goals: Sequence[int]) -> Array:
        """Return which outputs are 0 but for some classes, which have the lowest float32."""
        lowest = outputs <= NO_SCORE
        return np.asarray(lowest.any(1) & (lowest | (outputs == 0)).all(1))

    def at(self, goal: int) -> Array:
        """Return 1 for the class, and 0 for the others."""
        outputs = np.zeros(self.num_outputs, np.float32)
        outputs[goal] = 1
        return outputs

    def excluded(self, blank: Array) -> str:
        """Return the classes of the lowest outputs."""
        return str(np.flatnonzero(blank <= NO_SCORE).tolist())

    def flagged_by(
        self, outputs: Array, model_labels: Array | None, targets: Sequence[int], policy: str
    ) -> Array:
        """Return the target of each flagged input, which the guarded outputs tell: [N].

        Under "flag", they are those of the model alone, which predicts the target. Under the other
        policies, that of the target alone is the lowest number.
        """
        if policy == FLAG:
            return self.first_of(self.predictions(outputs), targets)
        places = np.array(targets, np.int64)
        lowest = outputs[:, places] <= NO_SCORE
        return np.where(lowest.sum(1) == 1, places[lowest.argmax(1)], NONE)

    def alone(
        self, labels: Array, model_labels: Array | None, flagged: Array, targets: Array
    ) -> Array:
        """Return the target of those that are flagged, and the label of the others: [N]."""
        return np.where(flagged, np.where(targets == NONE, REJECTED, targets), labels)

    def plain(self, label: Any) -> int | None:
        """Return the number of a class."""
        return None if label == REJECTED else int(label)

    def shown(self, plain: object) -> str | None:
        """Return the name of a class."""
        if isinstance(plain, int) and 0 <= plain < len(self.names):
            return self.names[plain]
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the names."""
        return {"names": list(self.names)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the names."""
        return cls(tuple(map(str, data["names"])))
