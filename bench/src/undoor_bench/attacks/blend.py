"""Another picture shining through the whole image (Chen et al., arXiv 1712.05526)."""

from __future__ import annotations

import torch

from undoor.triggers import Stamp


def blend(shape: tuple[int, ...], generator: torch.Generator, *, opacity: float = 0.1) -> Stamp:
    """Return a stamp that gives x (1 - opacity) + opacity noise, uniform noise in [0, 1].

    The noise is the same for all images.

    Parameters
    ----------
    shape
        (C, H, W) of the images.
    """
    mask = torch.full((1, *shape[1:]), opacity)
    return Stamp("given", mask, torch.rand(shape, generator=generator), "replace", (0.0, 1.0))
