"""Some classes of a data set: alone, or beside one class of all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undoor.errors import UndoorError

Labels = NDArray[np.int64]


def with_classes(x: NDArray[Any], y: Labels, classes: Sequence[int]) -> tuple[NDArray[Any], Labels]:
    """Return the images of these classes, numbered anew in the order given.

    Raises
    ------
    UndoorError
        Fewer than two classes, or one without images.

    Examples
    --------
    >>> x, y = with_classes(np.zeros((3, 2, 2)), np.array([5, 1, 3]), (3, 5))
    >>> x.shape, y.tolist()
    ((2, 2, 2), [1, 0])
    """
    if len(classes) < 2:
        raise UndoorError(f"expected at least 2 classes, got {len(classes)}; name more")
    places = _places(y, classes)
    keep = places < len(classes)
    return x[keep], places[keep]


def with_background(
    x: NDArray[Any], y: Labels, classes: Sequence[int]
) -> tuple[NDArray[Any], Labels]:
    """Return all images; these classes come first, and all others are one more, the background.

    Raises
    ------
    UndoorError
        A class has no images.

    Examples
    --------
    >>> with_background(np.zeros((4, 2, 2)), np.array([5, 1, 3, 0]), (3, 5))[1].tolist()
    [1, 2, 0, 2]
    """
    return x, _places(y, classes)


def require_images(y: Labels, classes: Sequence[int]) -> None:
    """Refuse classes that have no images.

    Raises
    ------
    UndoorError
        A class does not occur in y [N].
    """
    missing = set(classes) - set(y.tolist())
    if missing:
        raise UndoorError(
            f"no images of the classes {', '.join(map(str, sorted(missing)))}: expected some of "
            f"the {len(np.unique(y))} from {y.min()} to {y.max()}"
        )


def _places(y: Labels, classes: Sequence[int]) -> Labels:
    """Return where each label [N] stands in `classes`; behind the last if it is not there."""
    require_images(y, classes)
    places = np.full(int(y.max()) + 1, len(classes), np.int64)
    places[list(classes)] = np.arange(len(classes))
    out: Labels = places[y]
    return out
