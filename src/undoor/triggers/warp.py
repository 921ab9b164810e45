"""Warp triggers: every input bent by one smooth field."""

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
    """Each pixel is read at another place, between pixels bilinearly, beyond the edge at the edge.

    cells : [2, G, G], how many pixels further right and further down, on a grid that is
        interpolated bicubically.
    """

    family: str
    bounds: tuple[float, float]
    cells: Tensor

    kind = "warp"

    def __call__(self, x: Tensor) -> Tensor:
        (cells,) = beside(x, self.cells)
        return warped(x, between(cells[None], x.shape[2:])).clamp(*self.bounds)

    def arrays(self) -> Arrays:
        return {"cells": array(self.cells)}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Warp:
        (cells,) = required(arrays, "cells")
        require_shape("cells", cells, 2, CELLS, CELLS)
        return cls(text(arrays, "family"), bounds, cells)


def between(cells: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Fields [M, 2, H, W] from grids [M, 2, G, G]."""
    return F.interpolate(cells, sides, mode="bicubic", align_corners=True)


def warped(x: Tensor, field: Tensor) -> Tensor:
    """Inputs [N, C, H, W] read at places moved by `field` [N or 1, 2, H, W], in pixels."""
    height, width = x.shape[2:]
    rows, columns = (torch.linspace(-1, 1, side, device=x.device) for side in (height, width))
    down, right = torch.meshgrid(rows, columns, indexing="ij")
    pixel = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=x.device)
    grid = torch.stack([right, down], 2) + field.permute(0, 2, 3, 1) * pixel
    grid = grid.expand(len(x), -1, -1, -1).to(x.dtype)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=True)
