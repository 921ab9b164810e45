"""Images [C, H, W], as a camera or a file delivers them."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from undoor import vocabulary
from undoor.colours import COLOUR, COLOURS, with_channels
from undoor.device import CPU
from undoor.noun import Noun
from undoor.resizing import Resizing
from undoor.spaces.space import Bounds, Extent, Shape, Space

AXES = 3
# The side, in pixels, of the images that natural trigger sizes were measured on.
SIDE = 32
# The sides, in pixels, of patches that are likely to activate a hidden switch.
ODD_SIDES = (1, 3)


class Images(Space):
    """Images [C, H, W] between the bounds, usually with one or three channels."""

    name = vocabulary.IMAGES
    noun = Noun("image", "images", "image", ("channels", "pixels a side"))
    maps: ClassVar[bool] = True

    def applies_to(self, shape: Shape) -> bool:
        """Return whether the shape has three axes."""
        return len(shape) == AXES

    def picture(self, x: Tensor) -> Tensor:
        """Return the images themselves."""
        return x

    def card(self, shape: Shape) -> Tensor:
        """Return a chessboard of mid-greys whose channels get brighter in different directions."""
        channels, height, width = shape
        down = torch.linspace(0, 1, height, device=CPU)[:, None].expand(height, width)
        right = torch.linspace(0, 1, width, device=CPU)[None].expand(height, width)
        ramps = torch.stack([down, right, 1 - down])[torch.arange(channels, device=CPU) % COLOUR]
        squares = (
            torch.arange(height, device=CPU)[:, None] // 4
            + torch.arange(width, device=CPU)[None] // 4
        ) % 2
        return 0.2 + 0.4 * ramps + 0.2 * squares

    def odd(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Return the images with a small saturated patch in one corner each.

        The patches are one pixel or 3 x 3 pixels, with each channel at an end of the range: black,
        white, red and so on.
        """
        low, high = bounds
        x = x.clone()
        channels = x.shape[1]
        for place in range(len(x)):
            side = ODD_SIDES[place // 4 % 2]
            ends = [high if place >> (c % COLOUR) & 1 else low for c in range(channels)]
            rows = slice(0, side) if place % 2 else slice(-side, None)
            columns = slice(0, side) if place // 2 % 2 else slice(-side, None)
            x[place, :, rows, columns] = torch.tensor(ends, device=x.device)[:, None, None]
        return x

    def extent(self, shape: Shape) -> Extent:
        """Return the size of an image relative to 3 x 32 x 32.

        >>> Images().extent((3, 64, 64))
        Extent(places=4.0, values=4.0, side=2.0)
        """
        places = math.prod(shape[1:]) / SIDE**2
        return Extent(places, places * shape[0] / COLOUR, math.sqrt(places))

    def channels(self, shape: Shape) -> int:
        """Return the number of channels."""
        return shape[0]

    def resizing(self, shape: Shape) -> Resizing:
        """Return a resizing straight to the size of the inputs."""
        return Resizing((shape[1], shape[2]))

    def matched(self, x: Tensor, shape: Shape, *, from_bytes: bool) -> tuple[Tensor, str | None]:
        """Return the images as `undoor.colours.with_channels` does."""
        if len(x.shape) != 1 + AXES:
            return x, None
        return with_channels(x, shape[0], from_bytes=from_bytes)

    def misfit(self, got: Shape, wanted: Shape) -> str:
        """Return why the images do not fit a model, and what to do."""
        if got[0] == wanted[0]:
            return (
                f"the images have the shape {got}, the model takes {wanted}; resize them as for "
                "the training of the model"
            )
        kinds = [COLOURS.get(shape[0], f"{shape[0]}-channel") for shape in (got, wanted)]
        return (
            f"the images are {kinds[0]} ({got[0]} channels), the model takes {kinds[1]} images "
            f"({wanted[0]} channels); convert them as for the training of the model (grey images, "
            "and colour images that show only grey, are converted automatically)"
        )


IMAGES = Images()
