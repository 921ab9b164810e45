"""Photos in a .zip file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from undoor.errors import UndoorError
from undoor_bench.real.photos import read_photos

COLOURS = {"cat": 10, "ant": 200}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two photos of each of two classes in "val", of one colour each."""
    file = tmp_path / "photos.zip"
    with zipfile.ZipFile(file, "w") as photos:
        for name, grey in COLOURS.items():
            for i in range(2):
                stream = io.BytesIO()
                Image.fromarray(np.full((4, 6, 3), grey, np.uint8)).save(stream, "JPEG")
                photos.writestr(f"val/{name}/{i}.jpg", stream.getvalue())
    return file


def test_classes_are_in_alphabetical_order(archive: Path) -> None:
    photos = read_photos(archive, "val")
    assert photos.classes == ("ant", "cat")
    assert photos.x.shape == (4, 3, 4, 6)
    assert [int(each.mean()) for each in photos.x] == [200, 200, 10, 10]
    assert photos.y.tolist() == [0, 0, 1, 1]


def test_labels_follow_the_classes_that_are_asked_for(archive: Path) -> None:
    photos = read_photos(archive, "val", ["cat", "ant"])
    means = {int(label): int(x.mean()) for x, label in zip(photos.x, photos.y, strict=True)}
    assert means == {0: 10, 1: 200}


def test_another_part_has_no_photos(archive: Path) -> None:
    with pytest.raises(UndoorError, match="expected photos in train"):
        read_photos(archive, "train")
