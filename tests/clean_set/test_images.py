"""Odd pictures: read as a person would see them, or told by kind."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.pictures import picture
from undoor.clean_set import images
from undoor.clean_set.images import decode, decode_file
from undoor.clean_set.reading import UnreadableError
from undoor.resizing import Resizing


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG as the specification has it, for what Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def grey_16(*values: int) -> bytes:
    return png(len(values), 1, 16, 0, b"\0" + struct.pack(f">{len(values)}H", *values))


def colour_16(*values: int) -> bytes:
    return png(len(values) // 3, 1, 16, 2, b"\0" + struct.pack(f">{len(values)}H", *values))


def test_sixteen_bits() -> None:
    pixels, changed = decode(grey_16(0, 257, 32896, 65535))
    assert pixels[0, :, 0].tolist() == [0, 1, 128, 255]
    assert changed == ("16-bit",)
    pixels, changed = decode(colour_16(0, 32896, 65535))
    assert pixels.tolist() == [[[0, 128, 255]]]
    assert changed == ("16-bit",)
    deep = b"P5 2 1 65535\n" + struct.pack(">2H", 257, 65535)
    assert decode(deep).pixels[0, :, 0].tolist() == [1, 255]


def test_palette() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert decode(encoded(image)).pixels.tolist() == [[[1, 2, 3], [200, 100, 50]]]
    assert decode(encoded(image)).changed == ("palette",)
    assert decode(encoded(image, transparency=0)).changed == ("palette", "alpha")


def test_alpha_is_dropped_whatever_it_hides() -> None:
    pixels, changed = decode(encoded(Image.new("RGBA", (1, 1), (9, 8, 7, 0))))
    assert (pixels.tolist(), changed) == ([[[9, 8, 7]]], ("alpha",))
    pixels, changed = decode(encoded(Image.new("LA", (1, 1), (50, 128))))
    assert (pixels.tolist(), changed) == ([[[50]]], ("alpha",))


def test_cmyk() -> None:
    pixels, changed = decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert changed == ("CMYK",)
    assert pixels[0, 0, 0] > 250
    assert pixels[0, 0, 1:].max() < 5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_by_exif(orientation: int) -> None:
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    # How the camera stored it, by the meaning of each value.
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, changed = decode(encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif))
    assert np.array_equal(pixels[:, :, 0], upright)
    assert changed == (() if orientation == 1 else ("turned",))


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), (value,) * 3) for value in (30, 200, 250)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    pixels, changed = decode(data)
    assert "animated" in changed
    assert set(pixels.ravel().tolist()) == {30}


def test_misnamed(tmp_path: Path) -> None:
    (tmp_path / "a.JPG").write_bytes(encoded(picture(7)))
    pixels, changed = decode_file(tmp_path / "a.JPG", None)
    assert (pixels.tolist(), changed) == ([[[7] * 3] * 4] * 4, ("misnamed",))
    (tmp_path / "a.png").write_bytes(encoded(picture(7)))
    assert decode_file(tmp_path / "a.png", None).changed == ()


def bomb() -> bytes:
    return png(40_000, 40_000, 8, 0, b"")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"no image", "unknown format"),
        (encoded(picture(size=(64, 64)))[:60], "damaged"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:-500], "damaged"),
        (encoded(Image.new("RGB", (4, 4)), "GIF"), "unknown format"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "unknown format"),
        (b"Pf 1 1 -1.0\n" + struct.pack("<f", 0.5), "not 8 or 16 bits"),
        (bomb(), "too large"),
        (png(11_000, 11_000, 8, 0, b""), "too large"),
    ],
)
def test_what_cannot_be_used_is_told_by_kind(data: bytes, kind: str) -> None:
    with pytest.raises(UnreadableError) as error:
        decode(data)
    assert error.value.kind == kind, str(error.value)


def test_files_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableError) as error:
        decode_file(tmp_path / "a.png", None)
    assert error.value.kind == "missing"
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    (tmp_path / "a.png").write_bytes(encoded(picture()))
    with pytest.raises(UnreadableError) as error:
        decode_file(tmp_path / "a.png", None)
    assert error.value.kind == "too large"


def test_a_strip_does_not_grow_beyond_bounds() -> None:
    """Its shorter side of one pixel would become 256, and its longer one 256 times as long."""
    strip = encoded(Image.new("L", (60_000, 1)))
    with pytest.raises(UnreadableError, match="are more than") as error:
        decode(strip, Resizing((224, 224), first=256))
    assert error.value.kind == "too large"


@pytest.mark.parametrize("limit", [Image.MAX_IMAGE_PIXELS, None])
def test_pictures_of_billions(limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the program around has taken Pillow's own limit away."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    for width, height in ((2**31 - 1, 2**31 - 1), (20_000, 20_000), (10_001, 10_000)):
        with pytest.raises(UnreadableError, match="pixels") as error:
            decode(png(width, height, 8, 0, bytes(1000)))
        assert error.value.kind == "too large"


def test_scans_without_end(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 9, 9)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    assert decode(data).pixels.shape == (64, 64, 3)
    bomb = data[:-2] + data[data.rfind(b"\xff\xda") : -2] * 100 + data[-2:]
    (tmp_path / "a.jpg").write_bytes(bomb)
    for source in (bomb, tmp_path / "a.jpg"):
        with pytest.raises(UnreadableError, match=r"1\d\d scans are more than the 100") as error:
            decode(source)
        assert error.value.kind == "too large"
