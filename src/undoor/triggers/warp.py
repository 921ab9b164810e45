"""Warp triggers: one smooth displacement of the pixels of every input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor.device import array, beside
from undoor.triggers.trigger import Arrays, Trigger, require_shape, required, text

CELLS = 8


@dataclass(frozen=True, eq=False)
class Warp(Trigger):
    """x sampled at displaced positions, bilinearly, and beyond its border at the border.

    Attributes
    ----------
    cells
        [2, G, G], displacement to the right and down in pixels, on a grid that is interpolated
        bicubically.
    """

    family: str
    bounds: tuple[float, float]
    cells: Tensor

    kind = "warp"

    def __call__(self, x: Tensor) -> Tensor:
        """Return displaced raw inputs [N, C, H, W], clipped to the bounds."""
        (cells,) = beside(x, self.cells)
        return warped(x, between(cells[None], x.shape[2:])).clamp(*self.bounds)

    def arrays(self) -> Arrays:
        """Return ``cells``."""
        return {"cells": array(self.cells)}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Warp:
        """Return the inverse of `arrays`; see `Trigger.from_arrays`."""
        (cells,) = required(arrays, "cells")
        require_shape("cells", cells, 2, CELLS, CELLS)
        return cls(text(arrays, "family"), bounds, cells)


def between(cells: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Return displacements [M, 2, H, W] in pixels from grids [M, 2, G, G]."""
    return F.interpolate(cells, sides, mode="bicubic", align_corners=True)


def warped(x: Tensor, field: Tensor) -> Tensor:
    """Return inputs [N, C, H, W] displaced by `field` [N or 1, 2, H, W], in pixels."""
    height, width = x.shape[2:]
    rows, columns = (torch.linspace(-1, 1, side, device=x.device) for side in (height, width))
    down, right = torch.meshgrid(rows, columns, indexing="ij")
    pixel = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=x.device)
    grid = torch.stack([right, down], 2) + field.permute(0, 2, 3, 1) * pixel
    grid = grid.expand(len(x), -1, -1, -1).to(x.dtype)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=True)
