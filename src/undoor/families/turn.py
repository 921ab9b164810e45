"""Turn triggers: every set rotated, stretched or sheared by the same small linear map."""

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
from undoor.triggers.deformation import PLACE, ROWS, deformed, one_anchor

START = 0.1


class TurnBank(InputBank):
    """p + A p about the middle of the bounds; the size is the Frobenius norm of A.

    That of a rotation by an angle a about an axis is 2.83 sin(a / 2).
    """

    family = "turn"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        del shape
        noise = torch.randn(count, PLACE, PLACE, generator=generator, device=CPU)
        self.linear = nn.Parameter(START * noise)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return sets x [M, n, P, C] with their points moved."""
        anchors = one_anchor().to(x.device)
        return deformed(x, self.bounds, anchors, self._maps(), 1.0)

    def sizes(self) -> Tensor:
        """Return the Frobenius norms [M] of the changes."""
        # The root has no gradient at zero.
        return self.linear.flatten(1).square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        maps = self._maps()[index].detach().clone()
        return Deformation(self.family, self.bounds, one_anchor(), maps)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Deformation)
        with torch.no_grad():
            self.linear[index] = trigger.maps[0, :PLACE]

    def _maps(self) -> Tensor:
        """[M, 1, 4, 3]."""
        return nn.functional.pad(self.linear, (0, 0, 0, ROWS - PLACE))[:, None]


TURN = Family(
    name=TurnBank.family,
    unit="norm of the change",
    make=AtInput(TurnBank),
    # No map reaches all sets of any class: what counts is how small one moves most.
    effort=Effort(2, Schedule(steps=60, batch=4, success=0.8, weight=0.3)),
    spaces=frozenset({POINTS.name}),
    on_request=frozenset({POINTS.name}),
    uncalibrated=True,
)

TURN_MARGIN = TURN.at_one_size(
    "turn margin",
    AtSize(size=0.5, starts=4, steps=40, batch=4, spread=0.5),
    uncalibrated=True,
)
