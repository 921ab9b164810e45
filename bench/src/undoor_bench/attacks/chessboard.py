"""A faint chessboard over the whole image (Xiang, Miller, Kesidis, arXiv 1908.10498)."""

from __future__ import annotations

import torch

from undoor.triggers import Stamp


def chessboard(shape: tuple[int, ...], *, strength: float = 3 / 255) -> Stamp:
    """Return a stamp that adds `strength` to every pixel whose coordinates have an even sum.

    Parameters
    ----------
    shape
        (C, H, W) of the images.

    Examples
    --------
    >>> chessboard((1, 2, 2), strength=0.5).pattern
    tensor([[[0.5000, 0.0000],
             [0.0000, 0.5000]]])
    """
    _, height, width = shape
    even = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 0
    pattern = strength * even.float().expand(shape).contiguous()
    return Stamp("given", torch.zeros(1, height, width), pattern, "add", (0.0, 1.0))
