"""Blend triggers: another picture shining through the whole input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.images import IMAGES
from undoor.triggers import Stamp, Trigger

OPACITY = 0.15
# A start this far from 0 and 1 keeps the gradient of the sigmoid alive.
MARGIN = 0.005


class BlendBank(InputBank):
    """x (1 - a) + a p with one opacity a for all pixels, which is the size (arXiv 1712.05526)."""

    family = "blend"
    step_size = 0.1

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        start = math.log(OPACITY / (1 - OPACITY))
        self.opacity_logit = nn.Parameter(
            start + 0.1 * torch.randn(count, generator=generator, device=CPU)
        )
        self.pattern_logit = nn.Parameter(
            0.5 * torch.randn(count, *shape, generator=generator, device=CPU)
        )

    def apply_to(self, x: Tensor) -> Tensor:
        """Return inputs x [M, n, ...] with the patterns blended in."""
        opacity = self.sizes().view(-1, *[1] * (x.dim() - 1))
        return x + opacity * (self._pattern()[:, None] - x)

    def sizes(self) -> Tensor:
        """Return the opacities [M], in (0, 1)."""
        return self.opacity_logit.sigmoid()

    def limit(self, size: float) -> None:
        """Set all opacities to `size`: more of a picture is always clearer."""
        with torch.no_grad():
            self.opacity_logit.fill_(math.log(size / (1 - size)))

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        pattern = self._pattern()[index].detach().clone()
        mask = torch.full_like(pattern[:1], float(self.sizes()[index].detach()))
        return Stamp(self.family, mask, pattern, "replace", self.bounds)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Stamp)
        pattern = (trigger.pattern - self.bounds[0]) / self.width
        with torch.no_grad():
            self.opacity_logit[index] = trigger.mask.mean().logit(MARGIN)
            self.pattern_logit[index] = pattern.logit(MARGIN)

    def _pattern(self) -> Tensor:
        return self.bounds[0] + self.width * self.pattern_logit.sigmoid()


BLEND = Family(
    name=BlendBank.family,
    unit="opacity",
    make=AtInput(BlendBank),
    effort=Effort(1, Schedule(steps=60, batch=4, weight=10.0)),
    on_request=frozenset({IMAGES.name}),
    uncalibrated=True,
)

BLEND_MARGIN = BLEND.at_one_size("blend margin", AtSize(size=0.15, spread=3.0))
