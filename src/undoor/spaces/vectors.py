"""Vectors [D], the rows of a table, and inputs that no other space recognises."""

from __future__ import annotations

from torch import Tensor

from undoor import vocabulary
from undoor.spaces.images import IMAGES
from undoor.spaces.space import Shape, Space

# Size, in pixels, of the bar that shows one value.
BAR_HEIGHT, BAR_WIDTH = 64, 4
PAPER, INK = 0.9, 0.2


class Vectors(Space):
    """Unordered numbers between the bounds: [D], or any shape but that of images."""

    name = vocabulary.VECTORS

    def applies_to(self, shape: Shape) -> bool:
        """Return whether the shape is not that of an image."""
        return not IMAGES.applies_to(shape)

    def recognises(self, shape: Shape) -> bool:
        """Return whether the shape is [D]; other shapes may belong to an installed space."""
        return len(shape) == 1

    def picture(self, x: Tensor) -> Tensor:
        """Return pictures with a vertical bar for each value.

        >>> import torch
        >>> Vectors().picture(torch.tensor([[0.0, 0.5, 1.0]])).shape
        torch.Size([1, 1, 64, 12])
        """
        heights = (x.flatten(1).clamp(0, 1) * BAR_HEIGHT).round()
        rows = BAR_HEIGHT - x.new_tensor(range(BAR_HEIGHT)).view(1, -1, 1)
        filled = rows <= heights[:, None]
        bars = PAPER + (INK - PAPER) * filled.to(x.dtype)
        return bars.repeat_interleave(BAR_WIDTH, 2)[:, None]


VECTORS = Vectors()
