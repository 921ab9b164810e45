"""Turn triggers: every set rotated by the same small angle about the same axis."""

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
    """Rotations about the middle of the bounds; the size is the angle, in radians.

    Of all linear maps, those that stretch or shear reach classes of clean networks, too.
    """

    family = "turn"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        del shape
        noise = torch.randn(count, PLACE, generator=generator, device=CPU)
        # Along the axis, as long as the angle.
        self.turn = nn.Parameter(START * noise)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return sets x [M, n, P, C] with their points moved."""
        anchors = one_anchor().to(x.device)
        return deformed(x, self.bounds, anchors, self._maps(), 1.0)

    def sizes(self) -> Tensor:
        """Return the angles [M]."""
        # The root has no gradient at zero.
        return self.turn.square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        maps = self._maps()[index].detach().clone()
        return Deformation(self.family, self.bounds, one_anchor(), maps)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Deformation)
        change = trigger.maps[0, :PLACE]
        axis = torch.stack([change[1, 2], change[2, 0], change[0, 1]])
        axis = (axis - torch.stack([change[2, 1], change[0, 2], change[1, 0]])) / 2
        # Half the antisymmetric part has the sine as its length, the trace of the rotation is
        # 1 + 2 cos.
        sine, cosine = axis.norm(), 1 + change.trace() / 2
        with torch.no_grad():
            self.turn[index] = axis / sine.clamp_min(1e-12) * torch.atan2(sine, cosine)

    def _maps(self) -> Tensor:
        """[M, 1, 4, 3]."""
        x, y, z = self.turn.unbind(1)
        none = torch.zeros_like(x)
        # Rows are multiplied from the left: the transpose of the usual matrix.
        rows = [torch.stack(row, 1) for row in ((none, z, -y), (-z, none, x), (y, -x, none))]
        turned = torch.matrix_exp(torch.stack(rows, 1)) - torch.eye(PLACE, device=x.device)
        return nn.functional.pad(turned, (0, 0, 0, ROWS - PLACE))[:, None]


TURN = Family(
    name=TurnBank.family,
    unit="radians",
    make=AtInput(TurnBank),
    # No rotation reaches all sets of any class: what counts is how small one moves most.
    effort=Effort(2, Schedule(steps=60, batch=4, success=0.8, weight=0.3)),
    spaces=frozenset({POINTS.name}),
    on_request=frozenset({POINTS.name}),
    uncalibrated=True,
)

TURN_MARGIN = TURN.at_one_size(
    "turn margin",
    AtSize(size=0.47, starts=3, steps=30, batch=4, spread=0.5, relative=0.0),
    uncalibrated=True,
)
