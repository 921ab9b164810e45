"""A trigger family as another package would write it: one module, found by its entry point."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.null import Null
from undoor.families.schedules import Effort, Schedule
from undoor.triggers import Trigger
from undoor.triggers.trigger import Arrays, require_shape, required, text

SIDE = 2


@dataclass(frozen=True, eq=False)
class Corner(Trigger):
    """x with another pattern [C, 2, 2] added in its upper left corner."""

    family: str
    bounds: tuple[float, float]
    added: Tensor

    kind = "toy corner"

    def __call__(self, x: Tensor) -> Tensor:
        out = x.clone()
        out[..., :SIDE, :SIDE] += self.added * (self.bounds[1] - self.bounds[0])
        return out.clamp(*self.bounds)

    def arrays(self) -> Arrays:
        return {"added": self.added.numpy()}

    def example_shape(self, side: int) -> tuple[int, ...]:
        return (len(self.added), side, side)

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Corner:
        (added,) = required(arrays, "added")
        require_shape("added", added, shape[0], SIDE, SIDE)
        return cls(text(arrays, "family"), bounds, added)


class CornerBank(InputBank):
    """The size is the l2 norm of the pattern."""

    family = "toy corner"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        draw = torch.randn(count, shape[0], SIDE, SIDE, generator=generator)
        self.added = nn.Parameter(0.02 * draw)

    def apply_to(self, x: Tensor) -> Tensor:
        out = x.clone()
        out[..., :SIDE, :SIDE] += (self.added * self.width)[:, None]
        return out

    def sizes(self) -> Tensor:
        return self.added.flatten(1).square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        return Corner(self.family, self.bounds, self.added[index].detach().clone())

    def place(self, index: int, trigger: Trigger) -> None:
        assert isinstance(trigger, Corner)
        with torch.no_grad():
            self.added[index] = trigger.added


CORNER = Family(
    name="toy corner",
    unit="l2 norm in the corner",
    make=AtInput(CornerBank),
    effort=Effort(1, Schedule(steps=60, batch=4, weight=0.1)),
    null=Null(natural=1.0, ceiling=4.0, location=0.1, scale=0.03),
)
UNCALIBRATED = Family(
    name="toy corner",
    unit="l2 norm in the corner",
    make=AtInput(CornerBank),
    effort=Effort(1, Schedule(steps=60, batch=4, weight=0.1)),
    uncalibrated=True,
)
