"""A faint sinusoid over the whole image (Barni, Kallas, Tondi, arXiv 1902.11237)."""

from __future__ import annotations

import math

import torch

from undoor.triggers import Stamp


def sig(shape: tuple[int, ...], *, strength: float = 20 / 255, frequency: int = 6) -> Stamp:
    """Return a stamp that adds strength sin(2 pi j frequency / W) to column j.

    Parameters
    ----------
    shape
        (C, H, W) of the images.
    """
    _, height, width = shape
    wave = strength * torch.sin(2 * math.pi * torch.arange(width) * frequency / width)
    pattern = wave.expand(shape).contiguous()
    return Stamp("given", torch.zeros(1, height, width), pattern, "add", (0.0, 1.0))
