"""By what the sizes of natural triggers grow from 3 x 32 x 32 pixels to a larger input.

How much larger an input is, its space says (`undoor.spaces.space.Space.extent`).
"""

from __future__ import annotations

import math

from undoor.spaces.space import Extent


def constant(_extent: Extent) -> float:
    """Not at all."""
    return 1.0


def as_area(extent: Extent) -> float:
    """With the number of places, of images their pixels."""
    return extent.places


def as_norm(extent: Extent) -> float:
    """As the l2 norm of a pattern: with the root of the number of values.

    >>> as_norm(Extent(places=4.0, values=4.0, side=2.0))
    2.0
    """
    return math.sqrt(extent.values)


def as_side(extent: Extent) -> float:
    """With the length of the sides."""
    return extent.side
