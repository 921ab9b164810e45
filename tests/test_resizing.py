"""How pictures reach the size of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, read_clean_set, read_images
from undoor.errors import UndoorError
from undoor.resizing import Resizing


@pytest.mark.parametrize(
    ("first", "picture", "whole", "box"),
    [
        (None, (300, 600), (224, 224), (0, 0, 224, 224)),
        (256, (300, 600), (256, 512), (144, 16, 368, 240)),
        (256, (601, 300), (512, 256), (16, 144, 240, 368)),
        ((240, 250), (10, 20), (240, 250), (13, 8, 237, 232)),
    ],
)
def test_geometry(
    first: Any, picture: tuple[int, int], whole: tuple[int, int], box: tuple[int, ...]
) -> None:
    resizing = Resizing((224, 224), first=first)
    assert resizing.whole(*picture) == whole
    assert resizing.box(*whole) == box


@pytest.mark.parametrize("first", [223, (224, 223), -1])
def test_centre_that_does_not_fit(first: Any) -> None:
    with pytest.raises(UndoorError, match="does not fit into images resized to"):
        Resizing((224, 224), first=first)


def test_unknown_filter() -> None:
    with pytest.raises(UndoorError, match=r"resample must be one of nearest, .*'cubic'"):
        Resizing((4, 4), resample="cubic")  # type: ignore[arg-type]


def make(resizing: Resizing | None) -> Classifier:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    return Classifier(network, input_shape=(3, 8, 8), resizing=resizing)


def test_classifier_is_resized_straight_unless_told() -> None:
    assert make(None).resizing == Resizing((8, 8))
    with pytest.raises(UndoorError, match=r"resized to \(4, 4\), but input_shape is \(3, 8, 8\)"):
        make(Resizing((4, 4)))
    vector = Classifier(nn.Linear(6, 2), input_shape=(6,))
    assert vector.resizing is None


def test_every_reader_crops_the_centre(tmp_path: Path) -> None:
    # A white square in the middle of a wide picture, as large as the centre that is cut out.
    pixels = np.zeros((16, 40, 3), np.uint8)
    pixels[4:12, 16:24] = 255
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "p.png")
    classifier = make(Resizing((8, 8), first=16))
    clean = read_clean_set(tmp_path, classifier=classifier)
    assert torch.equal(clean.images, torch.ones(2, 3, 8, 8))
    x, _, _ = read_images([tmp_path / "a"], classifier)
    assert torch.equal(x, torch.ones(1, 3, 8, 8))
    squashed = CleanSet.from_folder(tmp_path, size=(8, 8))
    assert float(squashed.images.mean()) < 0.2
    same = CleanSet.from_folder(tmp_path, size=Resizing((8, 8)))
    assert torch.equal(same.images, squashed.images)
