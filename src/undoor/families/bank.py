"""The form of a trigger family: many candidates of one kind, optimised as one batch."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self, final

import torch
from torch import Tensor, nn

from undoor.classifier import ENTRY
from undoor.triggers.trigger import Trigger


class TriggerBank(nn.Module, ABC):
    """M candidate triggers of one family; every parameter has the candidates as its first axis.

    A new family writes `apply_to`, `sizes`, `export` and `place`, and names itself and its step
    size; everything else about it is in its `undoor.families.family.Family`.

    Attributes
    ----------
    family
        The family's name in results.
    step_size
        Learning rate of Adam that suits its parameters.
    bounds
        Lowest and highest value of what is changed.
    site
        The module whose output that is.
    """

    family: str
    step_size: ClassVar[float]

    def __init__(self, bounds: tuple[float, float], site: str = ENTRY) -> None:
        super().__init__()
        self.bounds = bounds
        self.site = site

    @final  # type: ignore[misc]  # nn.Module declares forward as an attribute
    def forward(self, x: Tensor) -> Tensor:
        """Return x [M, n, C, ...] with candidate m on row m, clipped to the bounds."""
        return self.apply_to(x).clamp(*self.bounds)

    @abstractmethod
    def apply_to(self, x: Tensor) -> Tensor:
        """Return the changed inputs; `forward` clips them."""

    @abstractmethod
    def sizes(self) -> Tensor:
        """Return how much each candidate changes an input: [M], differentiable.

        Where that depends on the input, for those of the last call of `forward`.
        """

    def limit(self, size: float) -> None:
        """Bring candidates that are larger than `size` back to it.

        By shrinking all parameters, for sizes that are in proportion to them. Families of other
        sizes, whose margin is to be searched for at one size, write their own.
        """
        with torch.no_grad():
            share = (size / self.sizes()).clamp(max=1)
            for parameter in filter(lambda each: each.requires_grad, self.parameters()):
                parameter.mul_(share.view(-1, *[1] * (parameter.dim() - 1)))

    @abstractmethod
    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""

    @final
    def rows(self, rows: Sequence[int]) -> Self:
        """Return a bank of these candidates alone, with copies of their values."""
        return self._of({n: p.detach()[list(rows)] for n, p in self.named_parameters()})

    @final
    def part(self, rows: slice) -> Self:
        """Return a bank of these candidates, sharing their values and gradients with this one."""
        other = self._of({n: p.detach()[rows] for n, p in self.named_parameters()})
        for name, parameter in self.named_parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            other.get_parameter(name).grad = parameter.grad[rows]
        return other

    def _of(self, values: Mapping[str, Tensor]) -> Self:
        """Return a bank with these parameters.

        Not a deep copy, which fails on tensors that the last call of `forward` left.
        """
        other = copy.copy(self)
        other._parameters = dict(self._parameters)
        for name, value in values.items():
            wanted = self.get_parameter(name).requires_grad
            setattr(other, name, nn.Parameter(value, wanted))
        return other

    @abstractmethod
    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from an exported `trigger` of the same family."""

    @property
    def count(self) -> int:
        """The number M of candidates."""
        return len(next(self.parameters()))

    @property
    def device(self) -> torch.device:
        """The device of the candidates' parameters."""
        return next(self.parameters()).device

    @property
    def width(self) -> float:
        """Width of the bounds: sizes mean the same for 0..1 and 0..255."""
        return self.bounds[1] - self.bounds[0]


class InputBank(TriggerBank):
    """A family that changes the raw input.

    Parameters
    ----------
    count
        M.
    shape
        (C, H, W) of an input.
    bounds
        Its lowest and highest value.
    """

    def __init__(
        self,
        count: int,
        shape: tuple[int, ...],
        bounds: tuple[float, float],
        generator: torch.Generator,
    ) -> None:
        super().__init__(bounds)
        self.start(count, shape, generator)

    @abstractmethod
    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
