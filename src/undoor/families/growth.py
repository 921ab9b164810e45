"""By what the sizes of natural triggers grow from 3 x 32 x 32 pixels to a larger input.

How much larger an input is comes from its space (`undoor.spaces.space.Space.extent`).
"""

from __future__ import annotations

import math

from undoor.spaces.space import Extent


def constant(_extent: Extent) -> float:
    """Return 1: sizes do not grow."""
    return 1.0


def as_area(extent: Extent) -> float:
    """Return the growth of the number of places, which are an image's pixels."""
    return extent.places


def as_norm(extent: Extent) -> float:
    """Return the growth of the l2 norm of a pattern: the root of that of the number of values.

    >>> as_norm(Extent(places=4.0, values=4.0, side=2.0))
    2.0
    """
    return math.sqrt(extent.values)


def as_side(extent: Extent) -> float:
    """Return the growth of the length of the sides."""
    return extent.side
