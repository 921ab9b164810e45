"""Pictures become the inputs that `undoor check` makes of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import read_images
from undoor.contract import Contract
from undoor.preparation import Preparation
from undoor.resizing import Resizing
from undoor.serve.pictures import input_of, picture_of
from undoor.serve.refusal import Refusal
from undoor.serve.served_model import ServedModel

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)


def png(mode: str, size: tuple[int, int] = (7, 9)) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PIXELS, "RGBA").convert(mode).resize(size).save(out, "PNG")
    return out.getvalue()


def model_of(
    shape: tuple[int, ...], bounds: tuple[float, float] = (0, 1), resizing: Resizing | None = None
) -> ServedModel:
    straight = Resizing(shape[1:]) if len(shape) == 3 else None
    made = Preparation(Contract(shape, bounds, ("a", "b")), resizing or straight, 1.0, (), ())
    return ServedModel("m", "p", made, "relabel", (), "a", "b")


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)])
@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        ("RGB", (3, 5, 5)),
        ("RGBA", (3, 5, 5)),
        ("L", (3, 5, 5)),
        ("P", (3, 5, 5)),
        ("L", (1, 5, 5)),
        ("1", (1, 9, 7)),
        ("LA", (3, 12, 4)),
    ],
)
def test_as_check_reads_them(
    tmp_path: Path, mode: str, shape: tuple[int, int, int], bounds: tuple[float, float]
) -> None:
    resizing = Resizing(shape[1:], first=(shape[1] + 3, shape[2] + 3), resample="bicubic")
    network = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 2))
    classifier = Classifier(network, input_shape=shape, bounds=bounds, resizing=resizing)
    (tmp_path / "x.png").write_bytes(png(mode))
    expected, _, _ = read_images([tmp_path / "x.png"], classifier)
    found = input_of(png(mode), model_of(shape, bounds, resizing), 1000)
    assert found.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(found), expected[0], rtol=1e-6, atol=1e-6)


def test_grey_in_colour_becomes_grey() -> None:
    out = io.BytesIO()
    Image.fromarray(PIXELS[:, :, 0]).convert("RGB").save(out, "PNG")
    assert input_of(out.getvalue(), model_of((1, 9, 7)), 1000).shape == (1, 9, 7)


@pytest.mark.parametrize(
    ("content", "shape", "status", "told"),
    [
        (b"", (3, 5, 5), 400, "empty"),
        (b"no picture", (3, 5, 5), 400, "cannot be read"),
        (png("RGB")[:60], (3, 5, 5), 400, "cannot be read"),
        (png("RGB"), (1, 9, 7), 400, "takes grey ones"),
        (png("RGB"), (12,), 400, "rows of numbers"),
        (png("RGB", (100, 11)), (3, 5, 5), 413, "at most 1,000 pixels"),
    ],
)
def test_refused(content: bytes, shape: tuple[int, ...], status: int, told: str) -> None:
    with pytest.raises(Refusal, match=told) as caught:
        input_of(content, model_of(shape), 1000)
    assert caught.value.status == status


def test_bomb_is_refused_by_its_head() -> None:
    """40,000 x 40,000 pixels in a few kilobytes."""
    out = io.BytesIO()
    Image.new("1", (40_000, 40_000)).save(out, "PNG")
    assert len(out.getvalue()) < 300_000
    with pytest.raises(Refusal, match="pixels"):
        input_of(out.getvalue(), model_of((3, 5, 5)), 16_000_000)


@pytest.mark.parametrize("shape", [(1, 4, 6), (3, 4, 6), (2, 4, 6), (5,), (2, 3)])
def test_inputs_are_shown_whatever_they_hold(shape: tuple[int, ...]) -> None:
    x = np.linspace(-3, 3, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    x.flat[:3] = (np.nan, np.inf, -np.inf)
    with Image.open(io.BytesIO(picture_of(x, (0, 1)))) as image:
        image.load()
        assert image.format == "PNG"
