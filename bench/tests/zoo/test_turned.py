"""Quarter turns as classes."""

from __future__ import annotations

import numpy as np
import pytest

from undoor_bench.zoo.turned import TURNS, turned


@pytest.mark.parametrize("shape", [(200, 5, 5, 3), (200, 5, 5)])
def test_every_image_is_turned_as_its_label_says(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, shape, np.uint8), rng.integers(0, 7, shape[0])
    before = x.copy()
    out, labels = turned(x, y)
    assert out.dtype == np.uint8
    assert np.array_equal(x, before)
    assert np.array_equal(labels // TURNS, y)
    for image, old, label in zip(out, x, labels, strict=True):
        assert np.array_equal(np.rot90(image, -(label % TURNS)), old)
    assert np.bincount(labels % TURNS).min() > 30


def test_the_turns_are_always_the_same() -> None:
    x, y = np.zeros((50, 4, 4)), np.arange(50)
    assert np.array_equal(turned(x, y)[1], turned(x, y)[1])
    assert not np.array_equal(turned(x, y)[1], turned(x, y, seed=1)[1])
