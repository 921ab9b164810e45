"""Data sets by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from undoor.errors import UndoorError
from undoor_bench.amount import Amount, clean_images
from undoor_bench.zoo.data_sets import count_images, read_arrays
from undoor_bench.zoo.entries import read_split
from undoor_bench.zoo.subjects import defence_images
from undoor_bench.zoo.turned import turned


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two signs, 80 and 40 images of them."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 80), ("test", 40)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 6, 6, 3), np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % 2
    np.savez(tmp_path / "gtsrb.npz", **arrays)
    return tmp_path


def test_a_file(data: Path) -> None:
    x, y = read_arrays(data / "gtsrb.npz", "test")
    assert x.shape == (40, 6, 6, 3)
    assert y.tolist() == [0, 1] * 20


def test_a_derived_data_set_needs_no_file(data: Path) -> None:
    """For training and for the defender it is the same images as those of its source."""
    file = data / "gtsrb_turned.npz"
    x, y = turned(*read_arrays(data / "gtsrb.npz", "train"))
    assert np.array_equal(read_arrays(file, "train")[0], x)
    split = read_split(file, "train")
    assert split.labels.tolist() == y.tolist()
    assert split.images.shape == (80, 3, 6, 6)
    clean = defence_images(file, 2, seed=0)
    assert clean.labels.bincount().tolist() == [2] * 8


NAMES = ("turned", "pairs", "classes_1_0", "background_1", "cast_0", "mark_1", "turned_classes_2-5")


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_counting_needs_no_images(data: Path, kind: str, split: str) -> None:
    """And counts as many as there are."""
    file = data / f"gtsrb_{kind}.npz"
    count = len(read_arrays(file, split)[1])
    with np.load(data / "gtsrb.npz") as arrays:
        labels = {key: arrays[key] for key in ("y_train", "y_test")}
    np.savez(data / "gtsrb.npz", **labels)
    assert count_images(file, split) == count > 0


def test_counting(data: Path) -> None:
    """A derived data set has as many images as its source, also in another amount."""
    assert count_images(data / "gtsrb.npz", "train") == 80
    assert count_images(data / "gtsrb_turned.npz", "train") == 80
    clean = clean_images(data / "gtsrb_turned.npz", Amount(20.0, "% of training"), 0)
    assert clean.labels.bincount().tolist() == [2] * 8
    with pytest.raises(UndoorError, match="expected y_hold"):
        count_images(data / "gtsrb.npz", "hold")


@pytest.mark.parametrize("name", ["mnist", "gtsrb_turned"])
def test_missing_files_and_splits(tmp_path: Path, name: str) -> None:
    with pytest.raises(UndoorError, match="expected x_test and y_test"):
        read_arrays(tmp_path / f"{name}.npz", "test")
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros((1, 4, 4)), y_train=np.zeros(1, int))
    with pytest.raises(UndoorError, match="x_test"):
        read_arrays(tmp_path / "mnist.npz", "test")
