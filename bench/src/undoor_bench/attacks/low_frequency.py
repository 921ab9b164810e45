"""A smooth pattern without high frequencies (Zeng et al., ICCV 2021, arXiv 2104.03413)."""

from __future__ import annotations

import math

import torch

from undoor.triggers import Stamp

FREQUENCIES = 4


def low_frequency(
    shape: tuple[int, ...], generator: torch.Generator, *, strength: float = 16 / 255
) -> Stamp:
    """Return the lowest 4 x 4 cosine waves with random weights, `strength` at the highest place.

    Parameters
    ----------
    shape
        (C, H, W) of the images.
    """
    channels, height, width = shape
    weights = torch.randn(channels, FREQUENCIES, FREQUENCIES, generator=generator)
    weights[:, 0, 0] = 0
    pattern = _waves(height).T @ weights @ _waves(width)
    pattern = strength * pattern / pattern.abs().max()
    return Stamp("given", torch.zeros(1, height, width), pattern, "add", (0.0, 1.0))


def _waves(size: int) -> torch.Tensor:
    """Return the first cosines of a discrete cosine transform [FREQUENCIES, size]."""
    positions = (torch.arange(size) + 0.5) * math.pi / size
    return torch.cos(torch.arange(FREQUENCIES)[:, None] * positions)
