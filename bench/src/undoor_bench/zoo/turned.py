"""Quarter turns as classes: four times as many of them, from the same images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

TURNS = 4
SEED = 0


def turned(
    x: NDArray[Any], y: NDArray[np.int64], seed: int = SEED
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return each image turned by 0 to 3 quarters anticlockwise, and labels ``4 * y + quarters``.

    `seed` determines the turns. Of GTSRB's 43 signs this makes 172 classes, to see what a scan of
    many classes costs. Signs that look the same after a half or a quarter turn (no entry, priority
    road) leave the network little but light and background to distinguish their classes, so
    accuracy is lower than on GTSRB.

    Parameters
    ----------
    x
        [N, H, W, C] or [N, H, W], square.
    y
        [N].

    Examples
    --------
    >>> x, y = turned(np.zeros((3, 8, 8)), np.array([0, 1, 2]))
    >>> x.shape, (y // 4).tolist()
    ((3, 8, 8), [0, 1, 2])
    """
    quarters = np.random.default_rng(seed).integers(TURNS, size=len(y))
    out = x.copy()
    for count in range(1, TURNS):
        rows = quarters == count
        out[rows] = np.rot90(x[rows], count, axes=(1, 2))
    return out, TURNS * y + quarters
