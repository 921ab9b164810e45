"""The preprocessing of an image processor of Transformers, found by running it.

Fifty kinds of processor name and order their steps differently, so that a processor is run instead
of read: flat images show how it scales values, and a noisy one shows whether it resizes as its
attributes suggest. A processor that does anything else is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undoor.clean_set.images import resize
from undoor.errors import UndoorError, first_line
from undoor.load.preprocessing import Preprocessing
from undoor.resizing import Resample, Resizing

Array = NDArray[np.float64]
# Pillow's numbers of its filters.
FILTERS: dict[int, Resample] = {
    0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming",
}  # fmt: skip
LARGEST_SIDE = 4096
# One step of 8-bit values, by which two roundings may differ, and a little more.
STEP = 1.01 / 255
DIGITS = 6
# The share of an image that LeViT's processor crops to, which none of its attributes has.
LEVIT = 224 / 256
WAY_OUT = "give input_shape, mean and std as options"


def read_preprocessing(
    processor: Any, channels: int, image_size: Any
) -> tuple[Preprocessing, bool]:
    """Return the preprocessing of a processor, and whether it reverses the colours (BGR).

    Parameters
    ----------
    processor
        An image processor of Transformers.
    channels, image_size
        From the network's configuration; the size is used where the processor does not resize.

    Raises
    ------
    UndoorError
        It pads, tiles or does other things that resizing, a centre crop and a scale and offset for
        each channel do not amount to.
    """
    native = _pair(image_size) or (224, 224)
    height, width = _shape_of(processor, channels, native)
    black = _flat(processor, channels, (height, width), [0] * channels)
    white = _flat(processor, channels, (height, width), [255] * channels)
    if not bool((white > black).all()):
        raise _refusal(processor, "does not map bright values to larger ones than dark values")
    std = 1 / (white - black)
    mean = -black * std
    flipped = _flipped(processor, channels, (height, width), black)
    # Mean and std belong to the channels as the network sees them, and stand before the flip.
    if flipped:
        mean, std = mean[::-1], std[::-1]
    for resizing in _candidates(processor, (height, width)):
        if _does(processor, channels, resizing, mean, std, flipped=flipped):
            rounded = [tuple(float(f"{v:.{DIGITS}g}") for v in part) for part in (mean, std)]
            return Preprocessing(
                (channels, height, width), rounded[0], rounded[1], resizing
            ), flipped
    raise _refusal(processor, "does more than resize, cut out the centre and normalise")


def _shape_of(processor: Any, channels: int, native: tuple[int, int]) -> tuple[int, int]:
    for side in (getattr(processor, "size", None), getattr(processor, "crop_size", None)):
        if any(value > LARGEST_SIDE for value in _sides(side).values()):
            raise _refusal(processor, f"needs images of more than {LARGEST_SIDE} pixels per side")
    shape = _ask(processor, np.zeros((channels, *native), np.uint8)).shape
    if len(shape) != 3 or shape[0] != channels or 0 in shape:
        raise _refusal(
            processor, f"returns arrays of shape {shape}, but the model takes {channels} x H x W"
        )
    return shape[1], shape[2]


def _candidates(processor: Any, size: tuple[int, int]) -> Iterator[Resizing]:
    """Yield the ways of resizing to this size that the processor's attributes suggest."""
    resample = FILTERS.get(int(getattr(processor, "resample", None) or 0), "bilinear")
    yield Resizing(size, resample=resample)
    if not getattr(processor, "do_resize", True):
        return
    sides = _sides(getattr(processor, "size", None))
    shortest = sides.get("shortest_edge")
    firsts: list[Any] = []
    if shortest:
        share = getattr(processor, "crop_pct", None) or LEVIT
        firsts = [shortest, int(shortest / share)]
    elif {"height", "width"} <= sides.keys():
        firsts = [(sides["height"], sides["width"])]
    for first in firsts:
        try:
            yield Resizing(size, first=first, resample=resample)
        except UndoorError:
            continue


def _does(
    processor: Any, channels: int, resizing: Resizing, mean: Array, std: Array, *, flipped: bool
) -> bool:
    """Return whether the processor maps a noisy image that is not square as expected."""
    height, width = resizing.size
    if getattr(processor, "do_resize", True):
        height, width = height + height // 3 + 2, 2 * width + 5
    picture = np.random.default_rng(0).integers(0, 256, (channels, height, width), np.uint8)
    got = _ask(processor, picture)
    planes = [np.asarray(resize(Image.fromarray(plane), resizing), np.float64) for plane in picture]
    wanted = (np.stack(planes) / 255 - mean[:, None, None]) / std[:, None, None]
    if flipped:
        wanted = wanted[::-1]
        std = std[::-1]
    return got.shape == wanted.shape and bool(
        (np.abs(got - wanted) * std[:, None, None] <= STEP).all()
    )


def _flipped(processor: Any, channels: int, size: tuple[int, int], black: Array) -> bool:
    if channels < 2:
        return False
    red = _flat(processor, channels, size, [255] + [0] * (channels - 1)) - black
    return bool(red[-1] > 0)


def _flat(processor: Any, channels: int, size: tuple[int, int], values: Sequence[int]) -> Array:
    """Return the output for each channel of an image with one value per channel."""
    picture = np.empty((channels, *size), np.uint8)
    picture[:] = np.array(values, np.uint8)[:, None, None]
    out = _ask(processor, picture)
    middle: Array = out[:, out.shape[1] // 2, out.shape[2] // 2]
    if not np.allclose(out, middle[:, None, None], rtol=1e-5, atol=1e-6):
        raise _refusal(processor, "does not keep flat images flat (it may pad)")
    return middle


def _ask(processor: Any, picture: NDArray[np.uint8]) -> Array:
    try:
        out = processor(picture, input_data_format="channels_first", return_tensors="np")
        return np.asarray(out["pixel_values"], np.float64)[0]
    except Exception as error:
        raise _refusal(processor, f"fails on an image ({first_line(error)})") from error


def _sides(size: Any) -> dict[str, int]:
    return {key: int(value) for key, value in dict(size or {}).items() if value}


def _pair(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int) and 0 < size <= LARGEST_SIDE:
        return size, size
    if (
        isinstance(size, list | tuple)
        and len(size) == 2
        and all(isinstance(n, int) and 0 < n <= LARGEST_SIDE for n in size)
    ):
        return size[0], size[1]
    return None


def _refusal(processor: Any, what: str) -> UndoorError:
    return UndoorError(f"the folder's {type(processor).__name__} {what}; {WAY_OUT}")
