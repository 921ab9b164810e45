"""Facts of a checkpoint without its architecture, from its tensors alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

# Heads are the last linear layers; norms and biases have one axis.
MATRIX, FILTERS = 2, 4
NORM_STATISTICS = re.compile(r"running_(mean|var)$")


@dataclass(frozen=True)
class CheckpointFacts:
    """The tensors of a checkpoint, and what they suggest of the network.

    Attributes
    ----------
    tensors
        Shape of each, by name.
    parameters
        Numbers in those that are learned.
    classes
        Rows of the last matrix; None where there is none.
    channels
        Of the input, by the first filters; None where there are none.
    not_finite
        Names of tensors with NaN or infinity, which are refused as weights.
    """

    tensors: dict[str, tuple[int, ...]]
    parameters: int
    classes: int | None
    channels: int | None
    not_finite: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON has them, shapes as lists."""
        return {
            "tensors": {name: list(shape) for name, shape in self.tensors.items()},
            "parameters": self.parameters,
            "classes": self.classes,
            "channels": self.channels,
            "not_finite": list(self.not_finite),
        }


def inspect_checkpoint(state: Mapping[str, Tensor]) -> CheckpointFacts:
    """Return the facts that the tensors of a state dict show.

    The guesses hold for common convolutional networks.

    Parameters
    ----------
    state
        The tensors by name, as `read_state_dict` returns them.

    Examples
    --------
    >>> import torch
    >>> state = {"conv.weight": torch.zeros(8, 3, 3, 3), "fc.weight": torch.zeros(10, 8)}
    >>> facts = inspect_checkpoint(state)
    >>> facts.classes, facts.channels
    (10, 3)
    """
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    matrices = [shape for shape in shapes.values() if len(shape) == MATRIX]
    filters = [shape for shape in shapes.values() if len(shape) == FILTERS]
    learned = [v for name, v in state.items() if v.dim() and not NORM_STATISTICS.search(name)]
    return CheckpointFacts(
        shapes,
        sum(value.numel() for value in learned),
        matrices[-1][0] if matrices else None,
        filters[0][1] if filters else None,
        tuple(
            n for n, v in state.items() if v.is_floating_point() and not bool(v.isfinite().all())
        ),
    )
