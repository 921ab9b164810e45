"""Decode images, to 8 bits a channel."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from undoor.errors import UndoorError
from undoor.resizing import Resizing

Bytes = NDArray[np.uint8]

# Fewer decoders, fewer surprises: data sets may come from strangers.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".pgm"})
GREY = frozenset({"1", "L", "LA"})


class UnreadableError(Exception):
    """One image that cannot be decoded; its set may go on without it."""


def decode(
    source: Path | bytes, name: str, size: tuple[int, int] | Resizing | None = None
) -> Bytes:
    """One image as [H, W, 1] (grey) or [H, W, 3], resized to `size` (height, width) or as a
    `Resizing` says.

    Raises
    ------
    UnreadableError : damaged, or no image of a known format.
    UndoorError : an image whose range of values cannot be known.
    """
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(stream, formats=FORMATS) as image:
            return pixels_of(image, name, size)
    except UndoorError:
        raise
    except Exception as error:
        raise UnreadableError(_reason(error)) from error


def stack(images: Sequence[Bytes], source: str) -> Bytes:
    """Images as one [N, H, W, C]; grey ones among colour ones become colour.

    Raises
    ------
    UndoorError : they differ in size.
    """
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        told = ", ".join(f"{h}x{w}" for h, w in sorted(sizes)[:3])
        raise UndoorError(
            f"the images of {source} differ in size ({told}{', ...' if len(sizes) > 3 else ''}); "
            "give size=(height, width) to resize them"
        )
    channels = max(image.shape[2] for image in images)
    return np.stack([np.broadcast_to(i, (*i.shape[:2], channels)) for i in images])


def pixels_of(image: Image.Image, name: str, size: tuple[int, int] | Resizing | None) -> Bytes:
    """A picture as [H, W, 1] or [H, W, 3]: upright, without transparency, with 8 bits a channel.

    Raises
    ------
    UndoorError : its values have a range that cannot be known (32 bits, floats).
    """
    image.load()
    # As viewers show it: cameras store what they see and how they were held.
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image, dtype=np.uint16) // 257).astype(np.uint8))
    if image.mode.startswith(("I", "F")):
        raise UndoorError(
            f"{name} is a 32-bit or float image (mode {image.mode}); convert it to 8 bits"
        )
    image = image.convert("L" if image.mode in GREY else "RGB")
    if size is not None:
        image = resize(image, size if isinstance(size, Resizing) else Resizing(size))
    pixels = np.array(image, dtype=np.uint8)
    return pixels.reshape(pixels.shape[0], pixels.shape[1], -1)


def resize(image: Image.Image, resizing: Resizing) -> Image.Image:
    """The picture in the size that `resizing` says."""
    height, width = resizing.whole(image.height, image.width)
    if image.size != (width, height):
        # Pillow's filters widen with the reduction: they are antialiased.
        image = image.resize((width, height), Image.Resampling[resizing.resample.upper()])
    return image if resizing.first is None else image.crop(resizing.box(height, width))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not an image of a known format ({', '.join(FORMATS)})"
    return (str(error).splitlines() or [type(error).__name__])[0]
