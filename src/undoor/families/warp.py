"""Warp triggers: every input bent by one smooth field."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family, InRepair
from undoor.families.growth import as_side
from undoor.families.schedules import Effort, Schedule
from undoor.triggers import Trigger, Warp
from undoor.triggers.warp import CELLS, between, warped
from undoor.vocabulary import PAIRED_UNBOUNDED

START = 0.3


class WarpBank(InputBank):
    """A field on a grid of 8 x 8 cells, interpolated (WaNet's form: arXiv 2102.10369).

    The size is the root mean square of the displacement, in pixels.
    """

    family = "warp"
    step_size = 0.1

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        self.sides = tuple(shape[1:])
        self.cells = nn.Parameter(
            START * torch.randn(count, 2, CELLS, CELLS, generator=generator, device=CPU)
        )

    def apply_to(self, x: Tensor) -> Tensor:
        """Return inputs x [M, n, C, H, W], bent by the fields."""
        field = self._fields()[:, None].expand(-1, x.shape[1], -1, -1, -1)
        return warped(x.flatten(0, 1), field.flatten(0, 1)).view(x.shape)

    def sizes(self) -> Tensor:
        """Return the root mean squares [M] of the displacement, in pixels."""
        # The root has no gradient at zero.
        return self._fields().square().sum(1).mean((1, 2)).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        return Warp(self.family, self.bounds, self.cells[index].detach().clone())

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Warp)
        with torch.no_grad():
            self.cells[index] = trigger.cells

    def _fields(self) -> Tensor:
        return between(self.cells, self.sides)


WARP = Family(
    name=WarpBank.family,
    unit="pixels moved",
    make=AtInput(WarpBank),
    # No warp reaches all images of any class: what counts is how small a trigger moves most.
    effort=Effort(1, Schedule(steps=60, batch=4, success=0.6, weight=1.0)),
    growth=as_side,
    # A warp moves what the others change where it stands: patterns that work as well are
    # by-products of its backdoor, and make corrections worse. It brings no new extremes, while
    # bounds cost clean inputs of the target some of their margin, and the guard then lets more
    # pass.
    in_repair=InRepair(alone=True, fit=PAIRED_UNBOUNDED),
)
