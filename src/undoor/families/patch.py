"""Patch triggers: a mask and the pattern seen through it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.device import CPU
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family, InRepair, Places
from undoor.families.growth import as_area
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.images import IMAGES
from undoor.spaces.vectors import VECTORS
from undoor.triggers import Stamp, Trigger

OPACITY = 0.15
# Cells per side of the coarse random field that a mask starts from, and how far it may swing.
CELLS = 4
MAX_SWING = 2.0
# A start this far from 0 and 1 keeps the gradient of the sigmoid alive.
MARGIN = 0.005
# Side of a square: as a share of the shorter side of an image, and the minimum in pixels.
SIDE = 5 / 32
MIN_SIDE = 3


class PatchBank(InputBank):
    """x (1 - m) + m p with a mask m in [0, 1] shared by the channels (Wang et al., S&P 2019).

    The size is the l1 norm of the mask, the differentiable stand-in for the paper's l0: the number
    of pixels replaced. Masks start faint, since a mask has a gradient only where it lets some of
    the pattern through, and from evenly spread to clumped: some backdoors are found from the one
    start as a rule, some from the other.
    """

    family = "patch"
    step_size = 0.2

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        start = math.log(OPACITY / (1 - OPACITY))
        noise = torch.randn(count, 1, *shape[1:], generator=generator, device=CPU)
        clumps = _smooth_noise(count, shape, generator)
        swing = MAX_SWING * torch.rand(count, *[1] * len(shape), generator=generator, device=CPU)
        self.mask_logit = nn.Parameter(start + 0.1 * noise + swing * clumps)
        self.pattern_logit = nn.Parameter(
            0.5 * torch.randn(count, *shape, generator=generator, device=CPU)
        )

    def apply_to(self, x: Tensor) -> Tensor:
        """Return inputs x [M, n, ...] with the patterns seen through the masks."""
        return x + (self._pattern()[:, None] - x) * self.mask_logit.sigmoid()[:, None]

    def sizes(self) -> Tensor:
        """Return the l1 norms [M] of the masks, in pixels."""
        return self.mask_logit.sigmoid().flatten(1).sum(1)

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        mask = self.mask_logit[index].sigmoid().detach().clone()
        pattern = self._pattern()[index].detach().clone()
        return Stamp(self.family, mask, pattern, "replace", self.bounds)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Stamp)
        low, high = self.bounds
        pattern = (trigger.pattern - low) / (high - low)
        with torch.no_grad():
            self.mask_logit[index] = trigger.mask.logit(MARGIN)
            self.pattern_logit[index] = pattern.logit(MARGIN)

    def _pattern(self) -> Tensor:
        low, high = self.bounds
        return low + (high - low) * self.pattern_logit.sigmoid()


def _smooth_noise(count: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return normal noise on a coarse grid, interpolated to [count, 1, *shape[1:]].

    0 where inputs are not images.
    """
    if not IMAGES.applies_to(shape):
        return torch.zeros(count, 1, *shape[1:], device=CPU)
    coarse = torch.randn(count, 1, CELLS, CELLS, generator=generator, device=CPU)
    return F.interpolate(coarse, shape[1:], mode="bicubic", align_corners=False)


def squares(shape: tuple[int, ...], distance: float) -> Tensor:
    """Return masks [P, 1, H, W] of squares on a grid that ends at the edges.

    Parameters
    ----------
    shape
        (C, H, W).
    distance
        From one to the next, in sides of a square.

    Examples
    --------
    >>> squares((3, 32, 32), 1.0).shape
    torch.Size([49, 1, 32, 32])
    """
    _, height, width = shape
    shorter = min(height, width)
    side = min(shorter, max(MIN_SIDE, round(SIDE * shorter)))
    step = max(1, round(distance * side))
    tops, lefts = ([*range(0, length - side, step), length - side] for length in (height, width))
    masks = torch.zeros(len(tops) * len(lefts), 1, height, width, device=CPU)
    corners = ((top, left) for top in tops for left in lefts)
    for mask, (top, left) in zip(masks, corners, strict=True):
        mask[:, top : top + side, left : left + side] = 1
    return masks


PATCH = Family(
    name=PatchBank.family,
    unit="pixels",
    make=AtInput(PatchBank),
    # A patch is found from some starts and not from others.
    effort=Effort(12, Schedule(steps=130, batch=2, weight=0.02, trial=45, keep=2)),
    spaces=frozenset({IMAGES.name, VECTORS.name}),
    growth=as_area,
    smallest=1.0,
    # Beside the squares that pull most: these start near a planted patch, noise finds scattered
    # ones.
    places=Places(
        squares, 3, Effort(4, Schedule(steps=160, batch=2, weight=0.02, trial=45, keep=2))
    ),
    in_repair=InRepair(control=True),
)
