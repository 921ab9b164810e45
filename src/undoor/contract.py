"""The interface of a model: what it takes, and how its classes are named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from undoor.classifier import Classifier


@dataclass(frozen=True)
class Contract:
    """Shape of one raw input, its lowest and highest value, and the names of the classes.

    Attributes
    ----------
    goals
        What the model's task learned of its goals from clean inputs, as
        `undoor.tasks.task.Task.settings`; empty where they follow from the network.
    """

    input_shape: tuple[int, ...]
    bounds: tuple[float, float]
    class_names: tuple[str, ...]
    goals: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(classifier: Classifier) -> Contract:
        """Return the contract of a classifier."""
        return Contract(
            classifier.input_shape,
            classifier.bounds,
            classifier.class_names,
            classifier.task.settings,
        )

    def differences(self, other: Contract) -> tuple[str, ...]:
        """Describe each difference of `other` from this contract in a phrase.

        A phrase names what this contract expects and what the other has.

        >>> one = Contract((3, 8, 8), (0.0, 1.0), ("cat", "dog"))
        >>> one.differences(Contract((3, 8, 8), (0.0, 1.0), ("cat", "cow")))
        ("class_names differ (class 1: expected 'dog', got 'cow')",)
        """
        found = [
            f"{name} differs (expected {expected}, got {got})"
            for name, expected, got in (
                ("input_shape", self.input_shape, other.input_shape),
                ("bounds", self.bounds, other.bounds),
            )
            if expected != got
        ]
        if len(self.class_names) != len(other.class_names):
            counts = f"expected {len(self.class_names)}, got {len(other.class_names)}"
            return (*found, f"the number of classes differs ({counts})")
        pairs = enumerate(zip(self.class_names, other.class_names, strict=True))
        changed = [(index, *names) for index, names in pairs if names[0] != names[1]]
        if changed:
            index, expected, got = changed[0]
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            first = f"class {index}: expected {expected!r}, got {got!r}"
            found.append(f"class_names differ ({first}{more})")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return the input shape, the bounds, the class names and, where there are some, goals."""
        goals = {"goals": dict(self.goals)} if self.goals else {}
        return {
            "input_shape": list(self.input_shape),
            "bounds": list(self.bounds),
            "class_names": list(self.class_names),
            **goals,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Contract:
        """Read what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            The data is something else.
        """
        shape = tuple(int(side) for side in data["input_shape"])
        low, high = (float(value) for value in data["bounds"])
        if not shape or min(shape) < 1 or not -math.inf < low < high < math.inf:
            raise ValueError(
                "expected a shape of positive numbers and finite bounds with low < high, got "
                f"{shape} and {(low, high)}"
            )
        names = tuple(str(name) for name in data["class_names"])
        goals = {str(name): float(value) for name, value in data.get("goals", {}).items()}
        if not all(map(math.isfinite, goals.values())):
            raise ValueError(f"expected finite numbers as goals, got {goals}")
        return Contract(shape, (low, high), names, goals)
