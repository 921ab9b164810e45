"""The guarded model from pixels of any size: its preprocessing inside the graph."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.errors import UndoorError
from undoor.export.graph import GuardedGraph
from undoor.export.resampling import nearest, rounded, weights
from undoor.preparation import WHITE, Preparation
from undoor.resizing import Resizing
from undoor.vocabulary import EXPORT_PIXELS

NEAREST = "nearest"


class PixelGraph(nn.Module):
    """`GuardedGraph` behind the resizing, the crop and the scaling of its inputs.

    Attributes
    ----------
    takes, axes
        As of `GuardedGraph`.

    Raises
    ------
    UndoorError
        The model takes no pictures, or a graph cannot resize as Pillow does.
    """

    takes: ClassVar[str] = EXPORT_PIXELS
    axes: ClassVar[tuple[str, ...]] = ("batch", "height", "width")

    def __init__(self, graph: GuardedGraph, preparation: Preparation) -> None:
        super().__init__()
        self.resizing = _reproducible(preparation)
        self.behind = graph
        self.bounds = preparation.contract.bounds

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, flagged and score of pixels, uint8 [N, H, W, C]."""
        return self.behind(self.prepared(pixels))

    def with_bare(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what `forward` does, and the logits of the original network."""
        return self.behind.with_bare(self.prepared(pixels))

    def prepared(self, pixels: Tensor) -> Tensor:
        """Return the raw inputs [N, C, h, w] of pixels [N, H, W, C]: see `Preparation.scaled`."""
        levels = pixels.permute(0, 3, 1, 2)
        near = self.resizing.resample == NEAREST
        levels = self._nearest(levels) if near else self._resampled(levels)
        low, high = self.bounds
        images = levels.float() / WHITE
        return images if (low, high) == (0, 1) else images * (high - low) + low

    def _resampled(self, levels: Tensor) -> Tensor:
        height, width = levels.shape[2:]
        tall, wide = _whole(self.resizing, height, width)
        rows, columns = self.resizing.size
        down, right = (_start(tall, rows), _start(wide, columns))
        down_by = weights(height, tall, down, rows, self.resizing.resample)
        right_by = weights(width, wide, right, columns, self.resizing.resample).T
        # Pillow's choice of what comes first, which is the faster one.
        vertical_first = (height - tall > 0) & (height - tall > 2 * (width - wide))
        return torch.cond(
            vertical_first, _down_then_right, _right_then_down, (levels, down_by, right_by)
        )

    def _nearest(self, levels: Tensor) -> Tensor:
        sides = self.resizing.first or self.resizing.size
        assert isinstance(sides, tuple)
        for axis, (side, kept) in enumerate(zip(sides, self.resizing.size, strict=True), 2):
            start = (side - kept) // 2
            chosen = nearest(levels.shape[axis], side)[start : start + kept]
            levels = levels.index_select(axis, chosen)
        return levels


def _down_then_right(levels: Tensor, down_by: Tensor, right_by: Tensor) -> Tensor:
    return rounded(rounded(down_by @ levels.double()) @ right_by)


def _right_then_down(levels: Tensor, down_by: Tensor, right_by: Tensor) -> Tensor:
    return rounded(down_by @ rounded(levels.double() @ right_by))


def _whole(resizing: Resizing, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return what `Resizing.whole` does, of sizes that only the running graph knows."""
    tall, wide = (torch.scalar_tensor(n, dtype=torch.int64, device=CPU) for n in (height, width))
    if isinstance(resizing.first, int):
        short = torch.minimum(tall, wide)
        tall, wide = (
            torch.div(resizing.first * side, short, rounding_mode="floor") for side in (tall, wide)
        )
        return tall, wide
    rows, columns = resizing.first or resizing.size
    return torch.tensor(rows, device=CPU), torch.tensor(columns, device=CPU)


def _start(whole: Tensor, kept: int) -> Tensor:
    return torch.div(whole - kept, 2, rounding_mode="floor")


def _reproducible(preparation: Preparation) -> Resizing:
    resizing = preparation.resizing
    if resizing is None:
        raise UndoorError(
            "expected a model of grey or colour pictures for preprocessing in the graph, got one "
            f"of inputs {list(preparation.contract.input_shape)}; export it without"
        )
    if resizing.resample == NEAREST and isinstance(resizing.first, int):
        raise UndoorError(
            "expected a filter that a graph can reproduce, got nearest with the shorter side "
            f"resized to {resizing.first}, whose rounding depends on the size of each picture; "
            "export the model without preprocessing, and prepare its inputs with undoor.deploy"
        )
    return resizing
