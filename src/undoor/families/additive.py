"""Additive triggers: one perturbation added to every input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family, InRepair
from undoor.families.growth import as_norm
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.images import IMAGES
from undoor.spaces.vectors import VECTORS
from undoor.triggers import Stamp, Trigger

START = 0.02


class AdditiveBank(InputBank):
    """x + d, clipped to the bounds; the size is the l2 norm of d, as in the paper.

    Sizes are in units of the bounds' width, so that they mean the same for 0..1 and 0..255.
    """

    family = "additive"
    step_size = 0.01

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        self.delta = nn.Parameter(
            START * torch.randn(count, *shape, generator=generator, device=CPU)
        )

    def apply_to(self, x: Tensor) -> Tensor:
        """Return inputs x [M, n, ...] with the perturbations added."""
        return x + self._scaled()[:, None]

    def sizes(self) -> Tensor:
        """Return the l2 norms [M], in units of the width of the bounds."""
        # The root has no gradient at zero.
        return self.delta.flatten(1).square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        pattern = self._scaled()[index].detach().clone()
        mask = torch.zeros_like(pattern[:1])
        return Stamp(self.family, mask, pattern, "add", self.bounds)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Stamp)
        with torch.no_grad():
            self.delta[index] = trigger.pattern / self.width

    def _scaled(self) -> Tensor:
        return self.delta * self.width


ADDITIVE = Family(
    name=AdditiveBank.family,
    unit="l2 norm",
    make=AtInput(AdditiveBank),
    effort=Effort(1, Schedule(steps=80, batch=4, weight=0.1)),
    spaces=frozenset({IMAGES.name, VECTORS.name}),
    growth=as_norm,
    reaches_any=True,
    in_repair=InRepair(control=True, strengthened=True),
    on_request=frozenset({IMAGES.name}),
)

ADDITIVE_MARGIN = ADDITIVE.at_one_size(
    "additive margin",
    AtSize(size=1.0, spread=3.0),
    spaces=frozenset({IMAGES.name}),
    reaches_any=False,
)
