"""What a label may be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.pictures import encoded, make_folder
from undoor.clean_set import CleanSet, labels, read_clean_set
from undoor.clean_set.labels import numbers_of_one_hot, require_names, require_samples
from undoor.errors import UndoorError


def test_minus_one_is_no_label_wherever_it_stands(tmp_path: Path) -> None:
    numbers = np.array([0, 1, -1, 0, 1, 0, 1, 0])
    images = np.arange(8, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2)
    np.savez(tmp_path / "a.npz", x=images, y=numbers)
    pyarrow = pytest.importorskip("pyarrow")
    pyarrow.parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"image": [encoded(i) for i in range(8)], "label": numbers})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    pairs = list(zip(images, numbers, strict=True))
    found = [read_clean_set(tmp_path / name) for name in ("a.npz", "a.parquet")]
    for clean in [*found, CleanSet.from_iterable(pairs)]:
        assert clean.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]
        assert clean.reading.lost == {"no label": 1}
        assert (clean.images[:, 0, 0, 0] * 255).round().tolist() == [0, 1, 3, 4, 5, 6, 7]


def test_one_hot() -> None:
    for kind in (bool, np.uint8, np.int64, np.float32):
        numbers = numbers_of_one_hot(np.eye(3, dtype=kind))
        assert numbers is not None
        assert numbers.tolist() == [0, 1, 2]
    for wrong in (np.ones((3, 1)), np.ones((2, 2)), np.zeros((2, 2)), np.full((2, 2), 0.5)):
        assert numbers_of_one_hot(wrong) is None
    clean = CleanSet.from_arrays(np.zeros((3, 4, 4, 3), np.uint8), np.eye(3))
    assert clean.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("label", [2**63 - 1, 2**64 - 1, 10**6])
def test_numbers_beyond_classes(label: int) -> None:
    given = np.array([0, label], np.uint64)
    with pytest.raises(UndoorError, match=rf"label {label} of .* from 0, below 1,000,000"):
        CleanSet.from_arrays(np.zeros((2, 4, 4, 3), np.uint8), given)
    items = [(np.zeros((4, 4, 3), np.uint8), int(number)) for number in given]
    with pytest.raises(UndoorError, match=rf"label {label} of the iterable is no class"):
        CleanSet.from_iterable(items)


def test_names_of_digits_are_names_where_the_model_has_them(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, ["02084071", "99999999"])
    with pytest.raises(UndoorError, match=r"label 99999999 of"):
        CleanSet.from_folder(folder)
    clean = CleanSet.from_folder(folder, class_names=["99999999", "02084071"])
    assert clean.labels.tolist() == [1, 1, 0, 0]


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    require_names(["a" * 1000], "x")
    with pytest.raises(UndoorError, match=r"a label of x has 1,001 characters \('aaa"):
        require_names(["b", "a" * 1001], "x")
    monkeypatch.setattr(labels, "MAX_CLASSES", 2)
    with pytest.raises(UndoorError, match=r"x has more than 2 classes"):
        require_names("abc", "x")
    require_samples(100_000, 1, "x")
    require_samples(200_000, 200_000, "x")
    with pytest.raises(UndoorError, match=r"x declares 200,001 samples in 200,000 bytes"):
        require_samples(200_001, 200_000, "x")
