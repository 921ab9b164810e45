"""Some classes of a data set, alone and before a background."""

from __future__ import annotations

import numpy as np
import pytest

from undoor.errors import UndoorError
from undoor_bench.zoo.class_choice import with_background, with_classes

Y = np.array([4, 2, 0, 2, 1])
X = np.arange(5 * 3 * 3).reshape(5, 3, 3)


def test_images_go_with_their_labels() -> None:
    x, y = with_classes(X, Y, (2, 4))
    assert np.array_equal(x, X[[0, 1, 3]])
    assert y.tolist() == [1, 0, 0]
    x, y = with_background(X, Y, (2, 4))
    assert np.array_equal(x, X)
    assert y.tolist() == [1, 0, 2, 0, 2]


def test_all_classes_in_order_change_nothing() -> None:
    assert np.array_equal(with_classes(X, Y % 3, (0, 1, 2))[1], Y % 3)


def test_classes_that_are_not_there() -> None:
    for choose in (with_classes, with_background):
        with pytest.raises(UndoorError, match=r"no images of the classes 3, 9: .* 4 from 0 to 4"):
            choose(X, Y, (3, 4, 9))
    with pytest.raises(UndoorError, match="at least 2 classes, got 1"):
        with_classes(X, Y, (2,))
