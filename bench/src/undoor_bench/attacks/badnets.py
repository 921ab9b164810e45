"""A small patch of random colours (Gu et al., arXiv 1708.06733)."""

from __future__ import annotations

import torch

from undoor.triggers import Stamp

FROM_EDGE = 1


def badnets(
    shape: tuple[int, ...], generator: torch.Generator, *, side: int = 3, opacity: float = 1.0
) -> Stamp:
    """Return a patch of `side` x `side` pixels, each channel full or empty, at a random place.

    One pixel is left free at every edge, as in the paper's experiments.

    Parameters
    ----------
    shape
        (C, H, W) of the images.
    opacity
        In [0, 1]; the rest of the image shines through.
    """
    channels, height, width = shape
    top, left = (
        int(torch.randint(FROM_EDGE, size - side, (), generator=generator))
        for size in (height, width)
    )
    mask, pattern = torch.zeros(1, height, width), torch.zeros(shape)
    rows, columns = slice(top, top + side), slice(left, left + side)
    mask[:, rows, columns] = opacity
    pattern[:, rows, columns] = random_colours(channels, side, generator)
    return Stamp("given", mask, pattern, "replace", (0.0, 1.0))


def random_colours(channels: int, side: int, generator: torch.Generator) -> torch.Tensor:
    """Return [C, side, side] of 0 and 1, the pixels not all the same.

    A patch of one colour is a thing that natural images have.
    """
    while True:
        colours = torch.randint(0, 2, (channels, side, side), generator=generator).float()
        if side == 1 or len(colours.flatten(1).unique(dim=1).T) > 1:
            return colours
