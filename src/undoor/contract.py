"""What a model takes and what its answers are called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from undoor.classifier import Classifier


@dataclass(frozen=True)
class Contract:
    """Shape of one raw input, its lowest and highest value, and the names of the classes."""

    input_shape: tuple[int, ...]
    bounds: tuple[float, float]
    class_names: tuple[str, ...]

    @staticmethod
    def of(classifier: Classifier) -> Contract:
        return Contract(classifier.input_shape, classifier.bounds, classifier.class_names)

    def to_json(self) -> dict[str, Any]:
        return {
            "input_shape": list(self.input_shape),
            "bounds": list(self.bounds),
            "class_names": list(self.class_names),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Contract:
        """Read what `to_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError : it is not that.
        """
        shape = tuple(int(side) for side in data["input_shape"])
        low, high = (float(value) for value in data["bounds"])
        if not shape or min(shape) < 1 or not -math.inf < low < high < math.inf:
            raise ValueError(f"no shape and bounds of an input: {shape}, {(low, high)}")
        return Contract(shape, (low, high), tuple(str(name) for name in data["class_names"]))
