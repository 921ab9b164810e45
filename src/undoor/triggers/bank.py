"""The form of a trigger family: many candidates of one kind, optimised as one batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, final

from torch import Tensor, nn

from undoor.triggers.trigger import Trigger


class TriggerBank(nn.Module, ABC):
    """M candidate triggers of one family; the optimiser sees one tensor with a candidate axis.

    A new family writes `apply_to`, `sizes` and `export`, and names itself and its step size.

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
