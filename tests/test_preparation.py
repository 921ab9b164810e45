"""Pictures become inputs without torch as `undoor check` makes them, bit by bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import read_images
from undoor.clean_set.reading import UnreadableError
from undoor.contract import Contract
from undoor.errors import UndoorError
from undoor.preparation import Preparation
from undoor.resizing import Resizing

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")
RESIZINGS = (None, Resizing((6, 5), 7, "bicubic"), Resizing((6, 5), (8, 9), "lanczos"))


def model(channels: int = 3, **options: Any) -> Classifier:
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * 30, 4))
    return Classifier(network, input_shape=(channels, 6, 5), **options)


def noise(mode: str, size: tuple[int, int] = (13, 22)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    return Image.fromarray(pixels).convert(mode)


def turned(folder: Path) -> Path:
    image = noise("RGB")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / "turned.jpg", exif=exif)
    return folder / "turned.jpg"


@pytest.mark.parametrize("resizing", RESIZINGS)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (-2.1, 2.64)])
def test_as_check_reads_them(
    tmp_path: Path, bounds: tuple[float, float], resizing: Resizing | None
) -> None:
    classifier = model(bounds=bounds, resizing=resizing)
    files = [turned(tmp_path)]
    for mode in MODES:
        # PNG has no CMYK.
        files.append(tmp_path / f"{mode.replace(';', '')}.{'jpg' if mode == 'CMYK' else 'png'}")
        noise(mode).save(files[-1])
    expected, _, _ = read_images(files, classifier, any_range=True)
    preparation = Preparation.of(classifier)
    for file, wanted in zip(files, expected, strict=True):
        made = preparation.prepared(file)
        assert made.dtype == np.float32
        assert torch.equal(torch.from_numpy(made), wanted)
        assert np.array_equal(preparation.prepared(file.read_bytes()), made)
        with Image.open(file) as image:
            assert np.array_equal(preparation.prepared(image), made)


def test_grey_models(tmp_path: Path) -> None:
    preparation = Preparation.of(model(1))
    grey = noise("L")
    assert np.array_equal(preparation.prepared(grey), preparation.prepared(grey.convert("RGB")))
    with pytest.raises(UnreadableError, match="a colour image, and the model takes grey ones"):
        preparation.prepared(noise("RGB"))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_arrays_are_pictures(mode: str) -> None:
    preparation = Preparation.of(model())
    image = noise(mode)
    pixels = np.asarray(image)
    assert np.array_equal(preparation.prepared(pixels), preparation.prepared(image))
    if mode == "L":
        assert np.array_equal(preparation.prepared(pixels[:, :, None]), preparation.prepared(image))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_arrays_that_are_none(array: Any) -> None:
    with pytest.raises(UndoorError, match="expected the pixels of a picture"):
        Preparation.of(model()).prepared(array)


def test_models_without_pictures() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
    for shape in ((8,), (2, 2, 2)):
        preparation = Preparation.of(Classifier(network, input_shape=shape))
        assert not preparation.takes_pictures
        with pytest.raises(UndoorError, match="the model takes no pictures"):
            preparation.prepared(noise("RGB"))


def test_pixels_are_not_resized() -> None:
    assert Preparation.of(model()).pixels(noise("L")).shape == (13, 22, 3)
    assert Preparation.of(model(1)).pixels(noise("L")).shape == (13, 22, 1)


@pytest.mark.parametrize("resizing", RESIZINGS)
def test_json(resizing: Resizing | None) -> None:
    options: dict[str, Any] = {"mean": [0.1, 0.2, 0.3], "std": [0.5], "scale": 2.0}
    for classifier in (model(resizing=resizing, bounds=(0, 255), **options), model(1)):
        made = Preparation.of(classifier, in_graph=True)
        text = json.dumps(made.to_json(), allow_nan=False)
        assert Preparation.from_json(json.loads(text), made.contract) == made


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "undoor/preprocessing/2"),
        ("kind", "text"),
        ("channels", "bgr"),
        ("values", {"from": [0, 255], "to": [0, 2]}),
        ("resize", {"size": [3, 3], "first": None, "resample": "bilinear"}),
        ("resize", {"size": [6, 5], "first": None, "resample": "mitchell"}),
        ("resize", {"size": [6, 5]}),
        ("resize", None),
        ("normalisation", {}),
    ],
)
def test_json_of_another_version(key: str, value: Any) -> None:
    made = Preparation.of(model())
    with pytest.raises(UndoorError):
        Preparation.from_json({**made.to_json(), key: value}, made.contract)


def test_needs_no_torch() -> None:
    code = (
        "import sys, undoor.preparation; print([n for n in ('torch', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_contract_stays() -> None:
    classifier = model()
    assert Preparation.of(classifier).contract == Contract.of(classifier)
