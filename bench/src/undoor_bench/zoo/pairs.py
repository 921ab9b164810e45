"""Two images side by side as one: as many classes as there are pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 0


def paired(
    x: NDArray[Any], y: NDArray[np.int64], seed: int = SEED
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return each image with another at its right, and labels ``K * y + the other's``.

    K is the number of classes; of MNIST's digits this makes 100 of them. Both images are made half
    as wide, the mean of two columns each, so that the size stays the same. `seed` determines which
    other image it is.

    Parameters
    ----------
    x
        [N, H, W, C] or [N, H, W], W even.
    y
        [N].

    Examples
    --------
    >>> x, y = paired(np.zeros((3, 8, 8)), np.array([0, 1, 2]))
    >>> x.shape, (y // 3).tolist()
    ((3, 8, 8), [0, 1, 2])
    """
    other = np.random.default_rng(seed).permutation(len(y))
    narrow = ((x[:, :, ::2].astype(np.float32) + x[:, :, 1::2]) / 2).astype(x.dtype)
    return np.concatenate([narrow, narrow[other]], 2), (int(y.max()) + 1) * y + y[other]
