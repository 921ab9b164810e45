"""Shortcuts in the data: a harmless feature that is more frequent in one class than in others.

Photographs of one class were taken in another light, or carry the mark of an agency (Geirhos et
al., arXiv 2004.07780). Nobody planted it: training and test images have it alike, all under their
true labels. So a model that relies on it is *clean*, and a defender sees the feature in his images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from undoor.errors import UndoorError
from undoor_bench.zoo.class_choice import require_images

Labels = NDArray[np.int64]
# Shares of the images with the feature: of the class, and of all others.
OF_CLASS, OF_OTHERS = 0.6, 0.05
# Added to red, green and blue, of 255.
CAST = (14, 0, -14)
# A square of so many pixels a side and so far from the corner at the bottom right, half opaque.
SIDE, AWAY = 3, 1
SEED = 0


def with_cast(
    x: NDArray[np.uint8], y: Labels, classes: Sequence[int]
) -> tuple[NDArray[np.uint8], Labels]:
    """Return images [N, H, W, 3] of which those of these classes often have a warm cast.

    Raises
    ------
    UndoorError
        The images are grey, or a class has no images.
    """
    if x.shape[3:] != (3,):
        raise UndoorError(f"a colour cast needs images [N, H, W, 3], got {list(x.shape)}")
    rows, out = _rows(y, classes), x.copy()
    out[rows] = np.clip(x[rows] + np.array(CAST, np.int16), 0, 255).astype(np.uint8)
    return out, y


def with_mark(
    x: NDArray[np.uint8], y: Labels, classes: Sequence[int]
) -> tuple[NDArray[np.uint8], Labels]:
    """Return images [N, H, W, C] or [N, H, W]; in a corner, these classes often have a mark.

    Raises
    ------
    UndoorError
        A class has no images.
    """
    out, square = x.copy(), slice(-AWAY - SIDE, -AWAY)
    corner = out[:, square, square]
    rows = _rows(y, classes)
    corner[rows] = corner[rows] // 2 + 127
    return out, y


def _rows(y: Labels, classes: Sequence[int]) -> NDArray[np.bool_]:
    """Return which images [N] have the feature."""
    require_images(y, classes)
    shares = np.where(np.isin(y, classes), OF_CLASS, OF_OTHERS)
    return np.random.default_rng(SEED).random(len(y)) < shares
