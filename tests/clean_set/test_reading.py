"""Reading clean samples from folders, archives and Parquet files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.pictures import encoded, make_folder, picture
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, read_clean_set
from undoor.errors import UndoorError

Make = Callable[..., Classifier]


# Folders


def test_folder(tmp_path: Path) -> None:
    clean = CleanSet.from_folder(make_folder(tmp_path, ["cat", "dog"]))
    assert clean.images.shape == (4, 3, 4, 4)
    assert clean.images.dtype == torch.float32
    assert clean.labels.tolist() == [0, 0, 1, 1]
    assert clean.class_names == ("cat", "dog")
    assert clean.from_bytes
    assert torch.equal(clean.images[:, 0, 0, 0] * 255, torch.tensor([0.0, 1, 10, 11]))


@pytest.mark.parametrize(
    ("folders", "names", "labels"),
    [
        (["cat", "dog"], ["dog", "cat", "owl"], [1, 0]),
        (["00014", "3"], None, [14, 3]),
        (["00014", "3"], ["0", "1"], [14, 3]),
        (["10", "9"], ["9", "ten", "10"], [2, 0]),
        (["b", "a"], ["0", "1"], [1, 0]),
        (["b", "a"], None, [1, 0]),
    ],
)
def test_folder_numbers(
    tmp_path: Path, folders: list[str], names: list[str] | None, labels: list[int]
) -> None:
    make_folder(tmp_path, folders, each=1)
    clean = CleanSet.from_folder(tmp_path, class_names=names)
    found = dict(zip(sorted(folders), clean.labels.tolist(), strict=True))
    assert [found[name] for name in folders] == labels


def test_folder_unknown_class(tmp_path: Path) -> None:
    make_folder(tmp_path, ["cat", "cow"])
    with pytest.raises(UndoorError, match=r"1 of the 2 class names .* is not the model's: 'cow'"):
        CleanSet.from_folder(tmp_path, class_names=["cat", "dog"])


def test_folder_two_names_of_one_number(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"'01' and '1' in .* stand for one class; merge"):
        CleanSet.from_folder(make_folder(tmp_path, ["1", "01"]))


def test_folder_skips_and_names_the_unreadable(tmp_path: Path) -> None:
    make_folder(tmp_path, ["a", "b"])
    (tmp_path / "a" / "broken.png").write_bytes(encoded()[:40])
    (tmp_path / "a" / "text.jpg").write_text("no image")
    (tmp_path / "b" / "list.csv").write_text("a,b")
    (tmp_path / "b" / ".hidden").write_text("")
    (tmp_path / "loose.png").write_bytes(encoded())
    clean = CleanSet.from_folder(tmp_path)
    assert len(clean) == 4
    told = " | ".join(clean.skipped)
    assert len(clean.skipped) == 4
    for part in ("broken.png: ", "text.jpg: not an image", "list.csv: not an image file (.csv)"):
        assert part in told
    assert "loose.png: lies in no class folder" in told


def test_folder_without_anything_readable(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UndoorError, match=r"holds no readable image; expected PNG"):
        CleanSet.from_folder(tmp_path)
    (tmp_path / "a" / "x.png").write_text("")
    with pytest.raises(UndoorError, match=r"no readable image \(1 left out, the first: .*x.png"):
        CleanSet.from_folder(tmp_path)
    with pytest.raises(UndoorError, match=r"has no sub-folders; expected one sub-folder"):
        CleanSet.from_folder(tmp_path / "a")
    with pytest.raises(UndoorError, match=r"does not exist"):
        CleanSet.from_folder(tmp_path / "b")


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("LA", 1), ("1", 1), ("P", 3), ("RGBA", 3), ("RGB", 3)]
)
def test_folder_modes(tmp_path: Path, mode: str, channels: int) -> None:
    clean = CleanSet.from_folder(make_folder(tmp_path, ["a"], mode=mode))
    assert clean.images.shape[1] == channels


def test_grey_among_colour_becomes_colour(tmp_path: Path) -> None:
    make_folder(tmp_path, ["a"])
    picture(7, "L").save(tmp_path / "a" / "z.png")
    assert (CleanSet.from_folder(tmp_path).images[-1] * 255).round().unique().tolist() == [7]


@pytest.mark.parametrize("suffix", ["jpg", "webp", "PNG"])
def test_other_formats(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "a").mkdir()
    picture(100).save(tmp_path / "a" / f"x.{suffix}")
    assert abs(float(CleanSet.from_folder(tmp_path).images.mean()) * 255 - 100) < 2


def test_sizes(tmp_path: Path) -> None:
    make_folder(tmp_path, ["a"], size=(4, 6))
    assert CleanSet.from_folder(tmp_path).images.shape[2:] == (6, 4)
    picture(size=(8, 8)).save(tmp_path / "a" / "z.png")
    with pytest.raises(UndoorError, match=r"differ in size \(6x4, 8x8\); give size="):
        CleanSet.from_folder(tmp_path)
    assert CleanSet.from_folder(tmp_path, size=(3, 5)).images.shape == (3, 3, 3, 5)


# Archives


def test_npz(tmp_path: Path) -> None:
    x, y = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3), np.array([1, 0])
    np.savez(tmp_path / "d.npz", x=x, y=y, classes=np.array(["no", "yes"]))
    clean = CleanSet.from_npz(tmp_path / "d.npz")
    assert torch.equal(clean.images * 255, torch.from_numpy(x.transpose(0, 3, 1, 2)).float())
    assert clean.labels.tolist() == [1, 0]
    assert clean.class_names == ("no", "yes")


def test_npz_splits(tmp_path: Path) -> None:
    x, y = np.zeros((2, 4, 4), np.uint8), np.array([0, 1])
    file = tmp_path / "d.npz"
    np.savez(file, x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    assert len(CleanSet.from_npz(file, split="test")) == 1
    with pytest.raises(UndoorError, match=r"holds the splits test, train; choose with --split"):
        CleanSet.from_npz(file)
    with pytest.raises(UndoorError, match=r"no x_hold; its splits are: test, train"):
        CleanSet.from_npz(file, split="hold")
    np.savez(file, x_train=x, y_train=y)
    assert len(CleanSet.from_npz(file)) == 2


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a": np.zeros(2)}, r"no array x; expected x and y, found: a"),
        ({"x": np.zeros((2, 4, 4), np.uint8)}, r"no array y"),
        ({"x": np.zeros((2, 4, 4), object), "y": np.zeros(2, int)}, r"not Python objects"),
        ({"x": np.zeros((2, 5), np.uint8), "y": np.zeros(2, int)}, r"have the shape \(2, 5\)"),
        ({"x": np.zeros((2, 5, 5, 5), np.uint8), "y": np.zeros(2, int)}, r"1, 3 or 4 channels"),
        ({"x": np.zeros((2, 4, 4), int), "y": np.zeros(2, int)}, r"int64, whose range cannot"),
        ({"x": np.zeros((2, 4, 4), bool), "y": np.zeros(2, int)}, r"bool; expected uint8 or float"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.zeros((2, 9))}, r"float64 of shape \(2, 9\)"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.zeros(3, int)}, r"2 images but 3 labels"),
    ],
)
def test_npz_errors(tmp_path: Path, members: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "d.npz", **members)
    with pytest.raises(UndoorError, match=message):
        CleanSet.from_npz(tmp_path / "d.npz")


def test_npz_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "d.npz"
    file.write_bytes(b"noise")
    with pytest.raises(UndoorError, match=r"not a readable .npz archive"):
        CleanSet.from_npz(file)
    np.save(tmp_path / "a.npy", np.zeros(2))
    with pytest.raises(UndoorError, match=r"holds a single array"):
        CleanSet.from_npz(tmp_path / "a.npy")


@given(
    images=hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), *[st.integers(5, 7)] * 2)),
    channels=st.sampled_from([1, 3, 4]),
    as_tensor=st.booleans(),
)
def test_layouts_agree(images: Any, channels: int, as_tensor: bool) -> None:
    first = np.stack([images + c for c in range(channels)], axis=1)
    last = first.transpose(0, 2, 3, 1)
    labels = np.zeros(len(images), np.int64)
    for array in (first, last, first.astype(np.float64)):
        given_images = torch.from_numpy(array.copy()) if as_tensor else array
        clean = CleanSet.from_arrays(given_images, labels)
        back = clean.images * 255 if clean.from_bytes else clean.images
        assert np.array_equal(back.round().numpy().astype(np.uint8), first)


# Parquet


@pytest.mark.parametrize("struct", [True, False])
def test_parquet(tmp_path: Path, struct: bool) -> None:
    images = [encoded(i) for i in range(4)]
    cells = [{"bytes": b, "path": "x.png"} for b in images] if struct else images
    table = pa.table({"image": cells, "label": [1, 0, 1, 0], "split": ["a", "a", "b", "b"]})
    pq.write_table(table, tmp_path / "d.parquet")
    clean = CleanSet.from_parquet(tmp_path / "d.parquet", split="b", size=(2, 2))
    assert clean.images.shape == (2, 3, 2, 2)
    assert (clean.images[:, 0, 0, 0] * 255).round().tolist() == [2, 3]
    assert clean.labels.tolist() == [1, 0]
    with pytest.raises(UndoorError, match=r"holds the splits a, b; choose with --split"):
        CleanSet.from_parquet(tmp_path / "d.parquet")
    with pytest.raises(UndoorError, match=r"no split 'c'; its splits are: a, b"):
        CleanSet.from_parquet(tmp_path / "d.parquet", split="c")


def test_parquet_names_and_bad_rows(tmp_path: Path) -> None:
    cells, labels = [encoded(), b"noise", None, encoded(), encoded()], ["b", "a", "a", "a", None]
    pq.write_table(pa.table({"img": cells, "class": labels}), tmp_path / "d.parquet")
    clean = CleanSet.from_parquet(tmp_path / "d.parquet", class_names=["b", "a"])
    assert clean.labels.tolist() == [0, 1]
    assert [s.rpartition("[")[2][0] for s in clean.skipped] == ["4", "1", "2"]
    assert clean.reading.lost == {"missing": 1, "no label": 1, "unknown format": 1}


def test_parquet_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "d.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": [0]}), file)
    with pytest.raises(UndoorError, match=r"no column 'image'; its columns are: text, label"):
        CleanSet.from_parquet(file)
    pq.write_table(pa.table({"image": [b"noise"], "label": [0]}), file)
    with pytest.raises(UndoorError, match=r"no readable image \(1 left out, the first"):
        CleanSet.from_parquet(file)
    with pytest.raises(UndoorError, match=r"no column 'split'"):
        CleanSet.from_parquet(file, split="test")
    file.write_bytes(b"noise")
    with pytest.raises(UndoorError, match=r"not a readable Parquet file"):
        CleanSet.from_parquet(file)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UndoorError, match=r"pip install '\.\[parquet\]'"):
        CleanSet.from_parquet(file)


# What a path is


def test_read_clean_set(tmp_path: Path, make_classifier: Make) -> None:
    classifier = make_classifier(class_names=["z", "y", "x"], bounds=(0, 255))
    make_folder(tmp_path / "set" / "train", ["x", "y", "z"], size=(9, 9))
    clean = read_clean_set(tmp_path / "set", split="train", classifier=classifier)
    assert clean.images.shape == (6, 3, 4, 4)
    assert clean.labels.tolist() == [2, 2, 1, 1, 0, 0]
    assert clean.images.max().round() == 21
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 4, 4, 3), np.uint8), y=np.arange(3))
    assert len(read_clean_set(tmp_path / "d.npz", classifier=classifier)) == 3
    cells, labels = [encoded()] * 3, ["x", "y", "z"]
    pq.write_table(pa.table({"image": cells, "label": labels}), tmp_path / "d.parquet")
    clean = read_clean_set(tmp_path / "d.parquet", classifier=classifier)
    assert clean.labels.tolist() == [2, 1, 0]
    assert read_clean_set(tmp_path / "d.npz").from_bytes


def test_read_clean_set_errors(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"nothing does not exist; expected a folder of"):
        read_clean_set(tmp_path / "nothing")
    (tmp_path / "d.csv").touch()
    with pytest.raises(
        UndoorError, match=r"d.csv looks like rows of a table, whose columns are not"
    ):
        read_clean_set(tmp_path / "d.csv")
