"""Warp triggers: every input bent by one smooth field."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.triggers.bank import InputBank
from undoor.triggers.trigger import Arrays, Trigger, require_shape, required, text

CELLS = 8
START = 0.3


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
        return warped(x, between(self.cells[None], x.shape[2:])).clamp(*self.bounds)

    def arrays(self) -> Arrays:
        return {"cells": self.cells.numpy()}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Warp:
        (cells,) = required(arrays, "cells")
        require_shape("cells", cells, 2, CELLS, CELLS)
        return cls(text(arrays, "family"), bounds, cells)


class WarpBank(InputBank):
    """A field on a grid of 8 x 8 cells, interpolated (WaNet's form: arXiv 2102.10369).

    The size is the root mean square of the displacement, in pixels.
    """

    family = "warp"
    unit = "pixels moved"
    step_size = 0.1

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        self.sides = tuple(shape[1:])
        self.cells = nn.Parameter(START * torch.randn(count, 2, CELLS, CELLS, generator=generator))

    def apply_to(self, x: Tensor) -> Tensor:
        field = self._fields()[:, None].expand(-1, x.shape[1], -1, -1, -1)
        return warped(x.flatten(0, 1), field.flatten(0, 1)).view(x.shape)

    def sizes(self) -> Tensor:
        # The root has no gradient at zero.
        return self._fields().square().sum(1).mean((1, 2)).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        return Warp(self.family, self.bounds, self.cells[index].detach().clone())

    def place(self, index: int, trigger: Trigger) -> None:
        assert isinstance(trigger, Warp)
        with torch.no_grad():
            self.cells[index] = trigger.cells

    def _fields(self) -> Tensor:
        return between(self.cells, self.sides)


def between(cells: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Fields [M, 2, H, W] from grids [M, 2, G, G]."""
    return F.interpolate(cells, sides, mode="bicubic", align_corners=True)


def warped(x: Tensor, field: Tensor) -> Tensor:
    """Inputs [N, C, H, W] read at places moved by `field` [N or 1, 2, H, W], in pixels."""
    height, width = x.shape[2:]
    rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    down, right = torch.meshgrid(rows, columns, indexing="ij")
    pixel = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)])
    grid = torch.stack([right, down], 2) + field.permute(0, 2, 3, 1) * pixel
    grid = grid.expand(len(x), -1, -1, -1).to(x.dtype)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=True)
