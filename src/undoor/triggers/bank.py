"""The form of a trigger family: many candidates of one kind, optimised as one batch."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self, final

from torch import Tensor, nn

from undoor.triggers.trigger import Trigger


class TriggerBank(nn.Module, ABC):
    """M candidate triggers of one family; the optimiser sees one tensor with a candidate axis.

    A new family writes `apply_to`, `sizes`, `export` and `place`, and names itself and its step
    size.

    family : the name under which results speak of it.
    step_size : learning rate of Adam that suits its parameters.
    """

    family: ClassVar[str]
    step_size: ClassVar[float]

    def __init__(self, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.bounds = bounds

    @final  # type: ignore[misc]  # nn.Module declares forward as an attribute
    def forward(self, x: Tensor) -> Tensor:
        """Raw inputs [M, n, C, H, W], candidate m stamped on row m, clipped to the bounds."""
        return self.apply_to(x).clamp(*self.bounds)

    @abstractmethod
    def apply_to(self, x: Tensor) -> Tensor:
        """The stamped inputs; `forward` clips them."""

    @abstractmethod
    def sizes(self) -> Tensor:
        """[M], differentiable: how much each candidate changes an input."""

    @abstractmethod
    def export(self, index: int) -> Trigger:
        """Candidate `index` as it stands, as a result."""

    @final
    def rows(self, rows: Sequence[int]) -> Self:
        """A bank of these candidates alone, as they stand."""
        other = copy.deepcopy(self)
        for name, parameter in self.named_parameters():
            setattr(other, name, nn.Parameter(parameter.detach()[list(rows)]))
        return other

    @abstractmethod
    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from an exported `trigger` of the same family."""
