"""Picture files as inputs of a model, and inputs as pictures, without torch."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from undoor.clean_set.images import FORMATS
from undoor.clean_set.reading import UnreadableError
from undoor.serve.refusal import bad_request, too_large
from undoor.serve.served_model import AXES, Array, ServedModel

GREY = 1
STEPS = 255
# Shorter sides are enlarged to this many pixels, in whole steps, so that single pixels are seen.
SIDE = 96


def input_of(content: bytes, model: ServedModel, max_pixels: int) -> Array:
    """Return a picture file as the model takes it, read as by `undoor check`.

    A raw input [C, H, W] float32; or pixels [H, W, C] uint8 of its own size, where the graph
    prepares them.

    Raises
    ------
    Refusal
        It is no picture, has too many pixels, or is in colour where the model takes grey ones; or
        the model takes no pictures.
    """
    if not model.takes_pictures:
        raise bad_request(
            f"expected rows of numbers, got a picture: the model takes inputs of the shape "
            f"{list(model.contract.input_shape)}; send JSON"
        )
    _require_size(content, max_pixels)
    try:
        return model.preparation.taken(content)
    except UnreadableError as error:
        raise bad_request(f"the picture cannot be read: {error}; send a PNG or JPEG") from None


def picture_of(x: Array, bounds: tuple[float, float]) -> bytes:
    """Return a raw input [C, H, W] as a PNG; any other shape as a grey strip.

    Values outside the bounds are shown at their ends, NaN as the lowest.
    """
    low, high = bounds
    with np.errstate(over="ignore", invalid="ignore"):
        shares = (np.nan_to_num(x, nan=low, posinf=high, neginf=low) - low) / (high - low)
    pixels = (shares.clip(0, 1) * STEPS).round().astype(np.uint8)
    if pixels.ndim != AXES or pixels.shape[0] not in (GREY, AXES):
        image = Image.fromarray(pixels.reshape(1, -1))
    elif pixels.shape[0] == GREY:
        image = Image.fromarray(pixels[0])
    else:
        image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    if (scale := SIDE // min(image.size)) > 1 and max(image.size) * scale <= SIDE * 40:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _require_size(content: bytes, max_pixels: int) -> None:
    """Refuse a picture by its head, before a pixel of it is decoded."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            pixels = image.width * image.height
    except Image.DecompressionBombError:
        pixels = max_pixels + 1
    except Exception:
        return  # `decode` says what is wrong
    require_pixels(pixels, max_pixels)


def require_pixels(pixels: int, max_pixels: int) -> None:
    """Refuse a picture of too many pixels.

    Raises
    ------
    Refusal
        There are more than `max_pixels`.
    """
    if pixels > max_pixels:
        raise too_large(
            f"expected a picture of at most {max_pixels:,} pixels, got more; make it smaller"
        )
