"""By what the sizes of natural triggers grow from 3 x 32 x 32 pixels to another shape.

Shapes are (C, H, W); of inputs that are no images, sizes do not grow.
"""

from __future__ import annotations

import math

SIDE = 32
CHANNELS = 3


def constant(_shape: tuple[int, ...]) -> float:
    """Not at all."""
    return 1.0


def as_area(shape: tuple[int, ...]) -> float:
    """With the number of pixels.

    >>> as_area((3, 64, 64)), as_area((10,))
    (4.0, 1.0)
    """
    return math.prod(shape[1:]) / SIDE**2 if len(shape) == 3 else 1.0


def as_norm(shape: tuple[int, ...]) -> float:
    """As the l2 norm of a pattern: with the root of the number of values.

    >>> as_norm((3, 64, 64)), as_norm((10,))
    (2.0, 1.0)
    """
    return math.sqrt(as_area(shape) * shape[0] / CHANNELS) if len(shape) == 3 else 1.0


def as_side(shape: tuple[int, ...]) -> float:
    """With the length of the sides.

    >>> as_side((3, 64, 64)), as_side((10,))
    (2.0, 1.0)
    """
    return math.sqrt(as_area(shape))
