"""Which images a training uses."""

from __future__ import annotations

import numpy as np
import pytest

from undoor_bench.zoo.training_images import drawn_rows, long_tail, mislabelled

Y = np.arange(3000) % 3


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_long_tail() -> None:
    shares = [long_tail(10, 20.0, rng(seed)) for seed in range(3)]
    for one in shares:
        falling = np.sort(one)[::-1]
        assert (falling[0], falling[-1]) == (1.0, pytest.approx(1 / 20))
        assert falling[1:] / falling[:-1] == pytest.approx(np.full(9, 20 ** (-1 / 9)))
    assert not np.array_equal(shares[0], shares[1])
    assert long_tail(4, 1.0, rng()).tolist() == [1.0] * 4


def test_drawn_rows() -> None:
    rows = drawn_rows(Y, np.array([1.0, 0.25, 0.00001]), rng())
    assert np.array_equal(rows, np.unique(rows))
    assert np.bincount(Y[rows]).tolist() == [1000, 250, 1]
    assert np.array_equal(drawn_rows(Y, np.ones(3), rng()), np.arange(3000))
    quarters = [drawn_rows(Y, np.full(3, 0.25), rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(quarters[0], quarters[1])
    assert not np.array_equal(quarters[0], quarters[2])


def test_wrong_labels() -> None:
    before = Y.copy()
    out = mislabelled(Y, 0.1, 3, rng())
    assert np.array_equal(Y, before)
    wrong = out != Y
    assert wrong.sum() == 300
    steps = np.bincount((out - Y)[wrong] % 3)
    assert steps[0] == 0
    assert min(steps[1:]) > 100
    assert np.array_equal(mislabelled(Y, 0.0, 3, rng()), Y)
