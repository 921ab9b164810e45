"""Drift triggers: every set moved as a whole, by the same small step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.points import POINTS
from undoor.triggers import Deformation, Trigger
from undoor.triggers.deformation import PLACE, ROWS, one_anchor

START = 0.05


class DriftBank(InputBank):
    """p + d with the same d for all points; the size is the length of d.

    Half the width of the bounds is 1.
    """

    family = "drift"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        noise = torch.randn(count, PLACE, generator=generator, device=CPU)
        self.step = nn.Parameter(START * noise)
        self.rest = shape[1] - PLACE

    def apply_to(self, x: Tensor) -> Tensor:
        """Return sets x [M, n, P, C], moved."""
        step = nn.functional.pad(self.step, (0, self.rest))
        return x + self.width / 2 * step[:, None, None].to(x.dtype)

    def sizes(self) -> Tensor:
        """Return the lengths [M] of the steps."""
        # The root has no gradient at zero.
        return self.step.square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        step = self.step[index].detach().clone()
        maps = nn.functional.pad(step[None], (0, 0, ROWS - 1, 0))[None]
        return Deformation(self.family, self.bounds, one_anchor(), maps)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Deformation)
        with torch.no_grad():
            self.step[index] = trigger.maps[0, -1]


DRIFT = Family(
    name=DriftBank.family,
    unit="length of the step",
    make=AtInput(DriftBank),
    # No step takes all sets to any class: what counts is how small one moves most.
    effort=Effort(2, Schedule(steps=60, batch=4, success=0.8, weight=0.3)),
    spaces=frozenset({POINTS.name}),
    on_request=frozenset({POINTS.name}),
    uncalibrated=True,
)

DRIFT_MARGIN = DRIFT.at_one_size(
    "drift margin",
    AtSize(size=0.2, starts=3, steps=30, batch=4, spread=0.5, relative=0.0),
    uncalibrated=True,
)
