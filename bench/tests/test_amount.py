"""How many clean images a defender has."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor_bench.amount import Amount, clean_images, read_amounts, shared_out

SHARE: Final = "% of training"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """200 test images of ten classes, no two alike, and 4500 to train on."""
    x = np.arange(200, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    np.savez(tmp_path / "d.npz", x_test=x, y_test=np.arange(200) % 10, y_train=np.zeros(4500))
    return tmp_path / "d.npz"


def numbers(clean: CleanSet) -> set[int]:
    return set((clean.images[:, 0, 0, 0] * 255).round().int().tolist())


def test_reading() -> None:
    amounts = read_amounts("1,30, 0.1%,30, 2 %")
    assert amounts == (Amount(1), Amount(30), Amount(0.1, SHARE), Amount(2.0, SHARE))


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "0%", "101%", "nan%", "%", "1,,2", "a"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(UndoorError, match="images a class"):
        read_amounts(text)


def test_different_amounts_are_kept_apart() -> None:
    amounts = read_amounts("1,2,10,100,0.1%,1%,10%,0.10001%,0.10000001%")
    assert len({amount.folder for amount in amounts}) == len(amounts)


def test_images_a_class(data: Path) -> None:
    clean = clean_images(data, Amount(3), 0)
    assert clean.labels.bincount().tolist() == [3] * 10


def test_share_of_the_training_set(data: Path) -> None:
    """1 % of 4,500 is 45: every class has four, five of them one more."""
    clean, other = (clean_images(data, Amount(1.0, SHARE), seed) for seed in (0, 1))
    counts = clean.labels.bincount()
    assert sorted(counts.tolist()) == [4] * 5 + [5] * 5
    assert len(numbers(clean)) == 45
    assert not torch.equal(counts, other.labels.bincount())


@pytest.mark.parametrize("seed", [0, 5])
def test_a_smaller_amount_is_part_of_a_larger(data: Path, seed: int) -> None:
    amounts = read_amounts("1,4,1%,5,20")
    sets = [numbers(clean_images(data, amount, seed)) for amount in amounts]
    assert [len(s) for s in sets] == [10, 40, 45, 50, 200]
    assert all(small < large for small, large in pairwise(sets))


def test_a_share_needs_the_training_set(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_test=np.zeros((2, 4, 4), np.uint8), y_test=[0, 1])
    with pytest.raises(UndoorError, match=r"d\.npz: expected y_train"):
        clean_images(tmp_path / "d.npz", Amount(1.0, SHARE), 0)


@given(st.integers(0, 300), st.integers(1, 50), st.integers(0, 9))
def test_shared_out(total: int, classes: int, seed: int) -> None:
    each = shared_out(total, classes, seed)
    assert sum(each) == max(total, classes)
    assert min(each) >= 1
    assert max(each) - min(each) <= 1
