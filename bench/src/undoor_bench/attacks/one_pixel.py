"""One pixel made brighter (Tran, Li, Madry, arXiv 1811.00636)."""

from __future__ import annotations

import torch

from undoor.triggers import Stamp


def one_pixel(
    shape: tuple[int, ...], generator: torch.Generator, *, strength: float = 75 / 255
) -> Stamp:
    """Return a stamp that adds `strength` to all channels of one random pixel.

    Parameters
    ----------
    shape
        (C, H, W) of the images.
    """
    _, height, width = shape
    row, column = (int(torch.randint(size, (), generator=generator)) for size in (height, width))
    pattern = torch.zeros(shape)
    pattern[:, row, column] = strength
    return Stamp("given", torch.zeros(1, height, width), pattern, "add", (0.0, 1.0))
