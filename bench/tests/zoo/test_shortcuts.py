"""Features that are more frequent in one class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from undoor.errors import UndoorError
from undoor_bench.zoo.shortcuts import AWAY, CAST, OF_CLASS, OF_OTHERS, SIDE, with_cast, with_mark

Y = np.arange(4000) % 4
COLOUR = np.full((4000, 8, 8, 3), 100, np.uint8)


@pytest.mark.parametrize("change", [with_cast, with_mark])
def test_how_often(change: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    """Much more often in the class; labels stay, and so do the images passed in."""
    x, y = change(COLOUR, Y, (2,))
    assert y is Y
    assert bool((COLOUR == 100).all())
    has = (x != COLOUR).any((1, 2, 3))
    assert has[Y == 2].mean() == pytest.approx(OF_CLASS, abs=0.05)
    assert has[Y != 2].mean() == pytest.approx(OF_OTHERS, abs=0.02)
    assert np.array_equal(change(COLOUR, Y, (2,))[0], x)


def test_the_cast() -> None:
    x, _ = with_cast(COLOUR, Y, (2,))
    changes = np.unique((x.astype(int) - COLOUR).reshape(-1, 3), axis=0)
    assert changes.tolist() == [[0, 0, 0], list(CAST)]
    white, black = (np.full_like(COLOUR, value) for value in (255, 0))
    assert with_cast(white, Y, (2,))[0].max(2).min() == 255 + CAST[2]
    assert with_cast(black, Y, (2,))[0].max() == CAST[0]
    with pytest.raises(UndoorError, match=r"colour cast needs images \[N, H, W, 3\], got \[4000"):
        with_cast(COLOUR[..., 0], Y, (2,))


@pytest.mark.parametrize("x", [COLOUR, COLOUR[..., 0]])
def test_the_mark(x: np.ndarray) -> None:
    """Half opaque, in the corner at the bottom right, and nowhere else."""
    out, _ = with_mark(x, Y, (2,))
    changed = out[(out != x).reshape(len(x), -1).any(1)]
    corner = slice(8 - AWAY - SIDE, 8 - AWAY)
    assert bool((changed[:, corner, corner] == 177).all())
    changed[:, corner, corner] = 100
    assert bool((changed == 100).all())


def test_a_class_that_is_not_there() -> None:
    for change in (with_cast, with_mark):
        with pytest.raises(UndoorError, match="no images of the classes 7"):
            change(COLOUR, Y, (7,))
