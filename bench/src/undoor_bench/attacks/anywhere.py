"""A patch at another place in each image (random backdoor: Salem et al., arXiv 2003.03675)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from undoor_bench.attacks.attack import Attack
from undoor_bench.attacks.badnets import FROM_EDGE, random_colours
from undoor_bench.attacks.labels import LabelMap


class Anywhere(Attack):
    """An attacker who knows that a defender corrects activations position by position.

    One patch of random colours, as in BadNets, whose place is another in every image, at test time
    too.

    The place is as good as random but follows from the pixels, so that an image gets the same one
    in any batch and on any day. Training moves and mirrors images before the trigger goes on, and
    so spreads the places of one image as well.

    Parameters
    ----------
    shape
        (C, H, W) of the images.
    side
        Of the patch, in pixels.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        labels: LabelMap,
        generator: torch.Generator,
        *,
        rate: float = 0.05,
        side: int = 3,
    ) -> None:
        super().__init__(labels, rate=rate)
        self.pattern = random_colours(shape[0], side, generator)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return images [N, C, H, W] in [0, 1] with the patch, at a place that each gives."""
        out, side = x.clone(), torch.arange(self.pattern.shape[-1])
        top, left = places(x, len(side))
        rows, columns = top[:, None] + side, left[:, None] + side
        images = torch.arange(len(x))[:, None, None]
        # Indices in front of and behind the channels put those last.
        out[images, :, rows[:, :, None], columns[:, None, :]] = self.pattern.permute(1, 2, 0)
        return out

    def cover(self, x: Tensor) -> Tensor:
        """Return the same as `apply_to`: covered images carry the trigger, too."""
        return self.apply_to(x)

    def state(self) -> dict[str, Tensor]:
        """Return the pattern of the patch."""
        return {"pattern": self.pattern}

    def put(self, state: Mapping[str, Tensor]) -> None:
        """Take over the pattern of the patch."""
        self.pattern = state["pattern"]


def places(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return the top row and left column [N] of a patch in each image [N, C, H, W] in [0, 1].

    A place is at least one pixel off the edges, and follows from a random linear hash of the
    image's pixels as 8-bit numbers.
    """
    height, width = (size - side - FROM_EDGE for size in x.shape[2:])
    # Nobody has to keep these numbers from anybody: all that matters is that places differ.
    fixed = torch.Generator().manual_seed(0)
    factors = torch.randint(2**31, x.shape[1:], generator=fixed)
    pixels = (x.detach() * 255).round().to(torch.int64)
    place = (pixels * factors).flatten(1).sum(1) % (height * width)
    return FROM_EDGE + place // width, FROM_EDGE + place % width
