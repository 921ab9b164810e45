"""Bending triggers: every set bent by the same smooth field of displacements."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.points import POINTS
from undoor.triggers import Deformation, Trigger
from undoor.triggers.deformation import PLACE, ROWS, deformed

START = 0.05
# Anchors in each direction, how far out they lie, and the reach of each.
SIDE, OUT, REACH = 3, 0.7, 0.4


class BendingBank(InputBank):
    """p + d(p), where d is interpolated between displacements of 27 anchors.

    The size is the root mean square of the displacements, where half the width of the bounds is 1.
    """

    family = "bending"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        del shape
        noise = torch.randn(count, SIDE**PLACE, PLACE, generator=generator, device=CPU)
        self.moves = nn.Parameter(START * noise)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return sets x [M, n, P, C] with their points moved."""
        return deformed(x, self.bounds, lattice().to(x.device), self._maps(), REACH)

    def sizes(self) -> Tensor:
        """Return the root mean squares [M] of the displacements."""
        # The root has no gradient at zero.
        return self.moves.square().sum(2).mean(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        maps = self._maps()[index].detach().clone()
        return Deformation(self.family, self.bounds, lattice(), maps, REACH)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Deformation)
        with torch.no_grad():
            self.moves[index] = trigger.maps[:, -1]

    def _maps(self) -> Tensor:
        """[M, 27, 4, 3], of which the last row alone is not zero."""
        return nn.functional.pad(self.moves[:, :, None], (0, 0, ROWS - 1, 0))


def lattice() -> Tensor:
    """Return the anchors [27, 3]."""
    steps = torch.linspace(-OUT, OUT, SIDE, device=CPU).tolist()
    return torch.tensor([*itertools.product(steps, repeat=PLACE)], device=CPU)


BENDING = Family(
    name=BendingBank.family,
    unit="displacement",
    make=AtInput(BendingBank),
    # No field reaches all sets of any class: what counts is how small one moves most.
    effort=Effort(2, Schedule(steps=60, batch=4, success=0.8, weight=1.0)),
    spaces=frozenset({POINTS.name}),
    on_request=frozenset({POINTS.name}),
    uncalibrated=True,
)

BENDING_MARGIN = BENDING.at_one_size(
    "bending margin",
    AtSize(size=0.15, starts=3, steps=40, batch=4, spread=0.5, relative=0.0),
    uncalibrated=True,
)
