"""Images: [C, H, W], as a camera or a file delivers them."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from undoor import vocabulary
from undoor.device import CPU
from undoor.resizing import Resizing
from undoor.spaces.space import Bounds, Extent, Shape, Space

AXES = 3
GREY, COLOUR, WITH_ALPHA = 1, 3, 4
COLOURS = {GREY: "grey", COLOUR: "colour", WITH_ALPHA: "colour with transparency"}
# Of the images that natural sizes were learned on.
SIDE = 32
# Of the patches that may throw a hidden switch, in pixels.
ODD_SIDES = (1, 3)


class Images(Space):
    """[C, H, W] between the bounds, as a rule with one channel or three."""

    name = vocabulary.IMAGES
    calibrated: ClassVar[bool] = True
    maps: ClassVar[bool] = True

    def applies_to(self, shape: Shape) -> bool:
        return len(shape) == AXES

    def picture(self, x: Tensor) -> Tensor:
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
        """With a patch in one corner each, in turn one pixel and three by three, of all channels at
        an end of the range: black, white, red and so on.
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
        """Beside 3 x 32 x 32 pixels.

        >>> Images().extent((3, 64, 64))
        Extent(places=4.0, values=4.0, side=2.0)
        """
        places = math.prod(shape[1:]) / SIDE**2
        return Extent(places, places * shape[0] / COLOUR, math.sqrt(places))

    def channels(self, shape: Shape) -> int:
        return shape[0]

    def resizing(self, shape: Shape) -> Resizing:
        return Resizing((shape[1], shape[2]))

    def matched(self, x: Tensor, shape: Shape, *, from_bytes: bool) -> tuple[Tensor, str | None]:
        """With the channels of a model, where that changes no colour.

        Grey ones are repeated over three channels, as loaders of pictures do. Colour ones become
        grey where all are grey in truth, their channels being equal; how a model wants real colours
        made grey cannot be known. The transparency of bytes is dropped.
        """
        if len(x.shape) != 1 + AXES or x.shape[1] == shape[0]:
            return x, None
        if from_bytes and x.shape[1] == WITH_ALPHA and shape[0] in (GREY, COLOUR):
            x = x[:, :COLOUR]
        if x.shape[1] == GREY and shape[0] == COLOUR:
            return x.repeat(1, COLOUR, 1, 1), "grey as colour"
        if x.shape[1] == COLOUR and shape[0] == GREY and _is_grey(x):
            return x[:, :1], "colour as grey"
        return x, None

    def misfit(self, got: Shape, wanted: Shape) -> str:
        if got[0] == wanted[0]:
            return super().misfit(got, wanted)
        kinds = [COLOURS.get(shape[0], f"{shape[0]}-channel") for shape in (got, wanted)]
        return (
            f"the images are {kinds[0]} ({got[0]} channels), the model takes {kinds[1]} images "
            f"({wanted[0]} channels); convert them as they were when the model was trained (grey "
            "images become colour, and colour ones without any colour grey, without that)"
        )


IMAGES = Images()


def _is_grey(images: Tensor) -> bool:
    # Image by image: all at once would take as much memory again.
    return all(bool((image == image[:1]).all()) for image in images)
