"""Decode image files as 8-bit pixels; whatever is unusual about one is reported or refused."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from undoor.clean_set.reading import UnreadableError
from undoor.errors import UndoorError
from undoor.resizing import Resizing

Bytes = NDArray[np.uint8]
Size = tuple[int, int] | Resizing | None

# Fewer decoders, fewer surprises: data sets may be untrusted.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "PPM")
SUFFIXES = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG",
    ".webp": "WEBP", ".bmp": "BMP", ".ppm": "PPM", ".pgm": "PPM", ".pbm": "PPM", ".pnm": "PPM",
}  # fmt: skip
GREY = frozenset({"1", "L", "LA", "La"})
# An image of a camera has some 50 million pixels; a decompression bomb has billions.
MAX_PIXELS = 100_000_000
MAX_BYTES = 256 * 2**20
# What begins a scan of a JPEG; progressive ones have some ten, a preview may add one.
SCAN = b"\xff\xda"
MAX_SCANS = 100


class Decoded(NamedTuple):
    """Pixels [H, W, 1] (grey) or [H, W, 3], and what was changed (see `Reading.changed`)."""

    pixels: NDArray[Any]
    changed: tuple[str, ...] = ()


def decode(source: Path | bytes | Image.Image, size: Size = None) -> Decoded:
    """Decode one image.

    It is turned by its EXIF orientation; of 16 bits the upper 8 remain, rounded; transparency is
    dropped, as the loaders of torchvision, timm and Transformers do; of an animation the first
    frame is taken.

    Parameters
    ----------
    source
        The file, the bytes of one, or an image of Pillow.
    size
        (height, width), or a `Resizing`, that it is resized to; None keeps its size.

    Raises
    ------
    UnreadableError
        It is empty, damaged, too large, of floats, or no image of a known format.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of bombs before it refuses them; broken metadata do no harm.
            warnings.simplefilter("ignore")
            if isinstance(source, Image.Image):
                return _decoded(source, size)
            stream, name = _opened(source)
            with Image.open(stream, formats=FORMATS) as image:
                if image.format == "JPEG":
                    _require_scans(source)
                decoded = _decoded(image, size)
                wrong = SUFFIXES.get(name.suffix.lower(), image.format) != image.format
        return decoded._replace(changed=(*decoded.changed, "misnamed")) if wrong else decoded
    except (UnreadableError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise UnreadableError("it is gone", "missing") from error
    except Image.DecompressionBombError as error:
        raise UnreadableError("too many pixels", "too large") from error
    except UnidentifiedImageError as error:
        reason = f"not an image of a known format ({', '.join(FORMATS)})"
        raise UnreadableError(reason, "unknown format") from error
    except Exception as error:
        raise UnreadableError(_first_line(error)) from error


def decode_file(file: Path, size: Size) -> Decoded:
    """Decode one image file, as `decode` does.

    Raises
    ------
    UnreadableError
        It is no image file, or cannot be decoded.
    """
    if file.suffix.lower() not in SUFFIXES:
        reason = f"not an image file ({file.suffix or 'no suffix'})"
        raise UnreadableError(reason, "no image")
    return decode(file, size)


def stack(images: Sequence[NDArray[Any]], source: str) -> NDArray[Any]:
    """Stack images [H, W, C] as [N, H, W, C]; grey ones among colour ones become colour.

    Raises
    ------
    UndoorError
        They differ in size.
    """
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        shown = ", ".join(f"{h}x{w}" for h, w in sorted(sizes)[:3])
        raise UndoorError(
            f"the images of {source} differ in size ({shown}{', ...' if len(sizes) > 3 else ''}); "
            "give size=(height, width) to resize them"
        )
    kinds = sorted({str(image.dtype) for image in images})
    if len(kinds) > 1:
        raise UndoorError(
            f"the images of {source} are partly {kinds[0]} and partly {kinds[1]}; give all as "
            "8-bit images or all as floats within the model's bounds"
        )
    channels = max(image.shape[2] for image in images)
    out = np.empty((len(images), *images[0].shape[:2], channels), images[0].dtype)
    for place, image in zip(out, images, strict=True):
        place[:] = image
    return out


def _opened(source: Path | bytes) -> tuple[Path | io.BytesIO, Path]:
    """Return what Pillow opens, and the name of the file, if there is one."""
    length = len(source) if isinstance(source, bytes) else source.stat().st_size
    if not length:
        raise UnreadableError("an empty file", "empty")
    if length > MAX_BYTES:
        raise UnreadableError(f"{length / 2**20:,.0f} MiB are too large for an image", "too large")
    return (io.BytesIO(source), Path()) if isinstance(source, bytes) else (source, source)


def _decoded(image: Image.Image, size: Size) -> Decoded:
    changed: list[str] = []
    _require_pixels(image.width * image.height)
    if getattr(image, "n_frames", 1) > 1:
        image.seek(0)
        changed.append("animated")
    # Of colour images of 16 bits Pillow hands out the upper 8, and shows it here alone.
    if image.format == "PNG" and any("16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        changed.append("16-bit")
    image.load()
    if image.mode.startswith("I"):
        image = _eight_bits(image)
        changed.append("16-bit")
    if image.mode == "F":
        raise UnreadableError(f"an image of floats (mode {image.mode})", "not 8 or 16 bits")
    if image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):
        image = ImageOps.exif_transpose(image)
        changed.append("turned")
    changed += ["palette"] if image.mode in ("P", "PA") else []
    changed += ["alpha"] if image.has_transparency_data else []
    changed += ["CMYK"] if image.mode == "CMYK" else []
    image = image.convert("L" if image.mode in GREY else "RGB")
    if size is not None:
        image = resize(image, size if isinstance(size, Resizing) else Resizing(size))
    pixels = np.array(image, dtype=np.uint8)
    return Decoded(pixels.reshape(*pixels.shape[:2], -1), tuple(dict.fromkeys(changed)))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a grey image of 16 bits, where 65,535 is white, as one of 8."""
    values = np.asarray(image, dtype=np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise UnreadableError("an image of more than 16 bits", "not 8 or 16 bits")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def resize(image: Image.Image, resizing: Resizing) -> Image.Image:
    """Return the image resized, and cut to its centre, as `resizing` describes."""
    height, width = resizing.whole(image.height, image.width)
    # A strip one pixel wide, for example, whose shorter side is to become 256.
    _require_pixels(height * width)
    if image.size != (width, height):
        # Pillow's filters widen with the reduction: they are antialiased.
        image = image.resize((width, height), Image.Resampling[resizing.resample.upper()])
    return image if resizing.first is None else image.crop(resizing.box(height, width))


def _require_scans(source: Path | bytes) -> None:
    """Refuse a JPEG of too many scans: it is decoded once for each, however short they are."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    scans = data.count(SCAN)
    if scans > MAX_SCANS:
        reason = f"{scans:,} scans are more than the {MAX_SCANS} that are decoded"
        raise UnreadableError(reason, "too large")


def _require_pixels(pixels: int) -> None:
    if pixels > MAX_PIXELS:
        reason = f"{pixels:,} pixels are more than the {MAX_PIXELS:,} that are decoded"
        raise UnreadableError(reason, "too large")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
