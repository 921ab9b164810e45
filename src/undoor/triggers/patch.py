"""Patch triggers: a mask and the pattern seen through it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.triggers.bank import InputBank
from undoor.triggers.stamp import Stamp
from undoor.triggers.trigger import Trigger

OPACITY = 0.15
# Cells a side of the coarse random field that a mask starts from, and how far it may swing.
CELLS = 4
MOST_SWING = 2.0
# A start this far from 0 and 1 keeps the gradient of the sigmoid alive.
MARGIN = 0.005


class PatchBank(InputBank):
    """x (1 - m) + m p with a mask m in [0, 1] shared by the channels (Wang et al., S&P 2019).

    The size is the l1 norm of the mask, the differentiable stand-in for the paper's l0: the number
    of pixels replaced. Masks start faint, since a mask has a gradient only where it lets some of
    the pattern through, and from evenly spread to clumped: some backdoors are found from the one
    start as a rule, some from the other.
    """

    family = "patch"
    unit = "pixels"
    step_size = 0.2

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        start = math.log(OPACITY / (1 - OPACITY))
        noise = torch.randn(count, 1, *shape[1:], generator=generator)
        clumps = _smooth_noise(count, shape[1:], generator)
        swing = MOST_SWING * torch.rand(count, *[1] * len(shape), generator=generator)
        self.mask_logit = nn.Parameter(start + 0.1 * noise + swing * clumps)
        self.pattern_logit = nn.Parameter(0.5 * torch.randn(count, *shape, generator=generator))

    def apply_to(self, x: Tensor) -> Tensor:
        return x + (self._pattern()[:, None] - x) * self.mask_logit.sigmoid()[:, None]

    def sizes(self) -> Tensor:
        return self.mask_logit.sigmoid().flatten(1).sum(1)

    def export(self, index: int) -> Trigger:
        mask = self.mask_logit[index].sigmoid().detach().clone()
        pattern = self._pattern()[index].detach().clone()
        return Stamp(self.family, mask, pattern, "replace", self.bounds)

    def place(self, index: int, trigger: Trigger) -> None:
        assert isinstance(trigger, Stamp)
        low, high = self.bounds
        pattern = (trigger.pattern - low) / (high - low)
        with torch.no_grad():
            self.mask_logit[index] = trigger.mask.logit(MARGIN)
            self.pattern_logit[index] = pattern.logit(MARGIN)

    def _pattern(self) -> Tensor:
        low, high = self.bounds
        return low + (high - low) * self.pattern_logit.sigmoid()


def _smooth_noise(count: int, sides: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """[count, 1, *sides]: normal noise on a coarse grid, interpolated; 0 where there is no grid."""
    if len(sides) != 2:
        return torch.zeros(count, 1, *sides)
    coarse = torch.randn(count, 1, CELLS, CELLS, generator=generator)
    return F.interpolate(coarse, sides, mode="bicubic", align_corners=False)
