"""Warping (WaNet: Nguyen and Tran, ICLR 2021, arXiv 2102.10369)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor_bench.attacks.attack import Attack
from undoor_bench.attacks.labels import LabelMap


class WaNet(Attack):
    """Images warped by one smooth field.

    In noise mode others are warped by it plus noise and keep their label, so that the network
    learns this field and not warping as such.

    Parameters
    ----------
    shape
        (C, H, W) of the images.
    cells, strength
        k and s of the paper, section 3.2.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        labels: LabelMap,
        generator: torch.Generator,
        *,
        rate: float = 0.1,
        cover_rate: float = 0.2,
        cells: int = 4,
        strength: float = 0.5,
    ) -> None:
        super().__init__(labels, rate=rate, cover_rate=cover_rate)
        _, height, width = shape
        self.generator = generator
        field = 2 * torch.rand(1, 2, cells, cells, generator=generator) - 1
        field = field / field.abs().mean()
        field = F.interpolate(field, (height, width), mode="bicubic", align_corners=True)
        # In units of grid_sample, which goes from -1 to 1 over the image.
        self.pixel = torch.tensor([1 / width, 1 / height])
        self.grid = _identity(height, width) + strength * field.permute(0, 2, 3, 1) * self.pixel

    def apply_to(self, x: Tensor) -> Tensor:
        """Return the images, warped by the trigger."""
        return _warped(x, self.grid.expand(len(x), -1, -1, -1))

    def state(self) -> dict[str, Tensor]:
        """Return the grid of the warp."""
        return {"grid": self.grid}

    def put(self, state: Mapping[str, Tensor]) -> None:
        """Take over the grid of the warp."""
        self.grid = state["grid"]

    def cover(self, x: Tensor) -> Tensor:
        """Return the images, warped by the trigger and by noise, each by its own."""
        noise = 2 * torch.rand(len(x), *self.grid.shape[1:], generator=self.generator) - 1
        return _warped(x, self.grid + noise * self.pixel)


def _identity(height: int, width: int) -> Tensor:
    """[1, H, W, 2]: where each pixel is, as (column, row)."""
    rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    grid = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([grid[1], grid[0]], 2)[None]


def _warped(x: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(x, grid.clamp(-1, 1), align_corners=True)
