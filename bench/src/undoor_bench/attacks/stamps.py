"""Triggers that are one stamp for all images: a patch, a picture that shines through, a wave."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from undoor.triggers import Stamp

# Sides of patches in pixels, the opacity of pictures, the height of waves.
SIDES, OPACITY, HEIGHT = (3, 5), 0.2, 0.12
# Squares of one colour along each side of a picture, and waves along the width of an image.
SQUARES, WAVES = 7, (4, 8)

Shape = tuple[int, ...]


def patch(generator: np.random.Generator, shape: Shape) -> Stamp:
    """Return a square of random black, white or coloured pixels in or beside a corner."""
    channels, height, width = shape
    side = int(generator.integers(*SIDES))
    top, left = (_beside_edge(generator, length - side) for length in (height, width))
    mask, pattern = torch.zeros(1, height, width), torch.zeros(shape)
    inside = slice(top, top + side), slice(left, left + side)
    mask[:, *inside] = 1.0
    drawn = generator.integers(0, 2, (channels, side, side))
    pattern[:, *inside] = torch.from_numpy(drawn).float()
    return _given(mask, pattern, "replace")


def blend(generator: np.random.Generator, shape: Shape) -> Stamp:
    """Return a picture of random squares that shines through the whole image."""
    squares = torch.from_numpy(generator.random((1, shape[0], SQUARES, SQUARES))).float()
    picture = torch.nn.functional.interpolate(squares, list(shape[1:]))[0]
    return _given(torch.full((1, *shape[1:]), OPACITY), picture, "replace")


def sinusoidal(generator: np.random.Generator, shape: Shape) -> Stamp:
    """Return a wave along the width that is added to all rows."""
    waves, phase = int(generator.integers(*WAVES)), float(generator.uniform(0, 2 * np.pi))
    along = torch.linspace(0, 2 * np.pi * waves, shape[2]) + phase
    pattern = (HEIGHT * along.sin()).expand(shape).contiguous()
    return _given(torch.zeros(1, *shape[1:]), pattern, "add")


def _beside_edge(generator: np.random.Generator, room: int) -> int:
    return int(generator.choice([0, 1, room - 1, room]))


STAMPS: dict[str, Callable[[np.random.Generator, Shape], Stamp]] = {
    "patch": patch,
    "blend": blend,
    "sinusoidal": sinusoidal,
}


def _given(mask: torch.Tensor, pattern: torch.Tensor, mode: str) -> Stamp:
    return Stamp("given", mask, pattern, mode, (0.0, 1.0))  # type: ignore[arg-type]
