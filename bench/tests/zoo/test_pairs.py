"""Two images side by side."""

from __future__ import annotations

import numpy as np
import pytest

from undoor_bench.zoo.pairs import paired


@pytest.mark.parametrize("shape", [(300, 6, 6, 3), (300, 6, 6)])
def test_both_halves_are_what_the_label_says(shape: tuple[int, ...]) -> None:
    """Images here are of the grey level of their class."""
    y = np.arange(300) % 5
    x = np.broadcast_to((20 * y).reshape(-1, *[1] * (len(shape) - 1)), shape).astype(np.uint8)
    out, labels = paired(x, y)
    assert out.dtype == np.uint8
    assert out.shape == shape
    flat = out.reshape(*shape[:3], -1)
    for half, digit in ((flat[:, :, :3], labels // 5), (flat[:, :, 3:], labels % 5)):
        assert np.array_equal(half, np.broadcast_to(20 * digit[:, None, None, None], half.shape))
    assert np.array_equal(labels // 5, y)
    assert len(np.unique(labels)) == 25


def test_a_half_is_the_mean_of_two_columns() -> None:
    x = np.array([[[10, 30, 255, 255], [0, 0, 1, 2]]], np.uint8)
    out, labels = paired(x, np.array([0]))
    assert out.tolist() == [[[20, 255, 20, 255], [0, 1, 0, 1]]]
    assert labels.tolist() == [0]


def test_the_pairs_are_always_the_same() -> None:
    x, y = np.zeros((50, 4, 4)), np.arange(50)
    assert np.array_equal(paired(x, y)[1], paired(x, y)[1])
    assert not np.array_equal(paired(x, y)[1], paired(x, y, seed=1)[1])
