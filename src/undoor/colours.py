"""The channels of images, and how they become those that a model takes."""

from __future__ import annotations

from typing import Any, TypeVar

GREY, COLOUR, WITH_ALPHA = 1, 3, 4
COLOURS = {GREY: "grey", COLOUR: "colour", WITH_ALPHA: "colour with transparency"}

# An array of NumPy or a tensor: what is done here, both understand.
Images = TypeVar("Images", bound=Any)


def with_channels(x: Images, wanted: int, *, from_bytes: bool) -> tuple[Images, str | None]:
    """Return images with the channels of a model, if that changes no colour.

    Grey images are repeated over three channels, as image loaders do. Colour images become grey
    only if their channels are equal, since there is more than one way to turn colours grey. The
    transparency of 8-bit images is dropped. Images that do not fit are returned unchanged.

    Parameters
    ----------
    x
        [N, C, H, W], an array of NumPy or a tensor.
    wanted
        The number of channels of the model.
    from_bytes
        Whether the images were 8-bit values.

    Returns
    -------
    tuple
        The images, and the change in a few words, or None if nothing was changed.

    Examples
    --------
    >>> import numpy as np
    >>> images, change = with_channels(np.zeros((2, 1, 4, 4)), COLOUR, from_bytes=True)
    >>> images.shape, change
    ((2, 3, 4, 4), 'grey as colour')
    """
    if x.shape[1] == wanted:
        return x, None
    if from_bytes and x.shape[1] == WITH_ALPHA and wanted in (GREY, COLOUR):
        x = x[:, :COLOUR]
    if x.shape[1] == GREY and wanted == COLOUR:
        return x[:, [0] * COLOUR], "grey as colour"
    if x.shape[1] == COLOUR and wanted == GREY and _is_grey(x):
        return x[:, :1], "colour as grey"
    return x, None


def _is_grey(images: Any) -> bool:
    # Image by image, since all at once would need twice the memory.
    return all(bool((image == image[:1]).all()) for image in images)
