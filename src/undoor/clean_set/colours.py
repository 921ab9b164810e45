"""Grey images for a colour model and the reverse: one rule for every source."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

GREY, COLOUR, WITH_ALPHA = 1, 3, 4


def matched(images: Tensor, shape: Sequence[int]) -> tuple[Tensor, str | None]:
    """Images [N, C, H, W] with the channels of a model, where that changes no colour, and what was
    changed ("grey as colour", "colour as grey"; None: nothing).

    Grey ones are repeated over three channels, as loaders of pictures do. Colour ones become grey
    where all are grey in truth, their channels being equal; how a model wants real colours made
    grey cannot be known.

    shape : of the model's input.
    """
    if images.dim() != 4 or len(shape) != 3 or images.shape[1] == shape[0]:
        return images, None
    if images.shape[1] == GREY and shape[0] == COLOUR:
        return images.repeat(1, COLOUR, 1, 1), "grey as colour"
    if images.shape[1] == COLOUR and shape[0] == GREY and _is_grey(images):
        return images[:, :1], "colour as grey"
    return images, None


def _is_grey(images: Tensor) -> bool:
    # Image by image: all at once would take as much memory again.
    return all(bool((image == image[:1]).all()) for image in images)
