"""Checks of labels: bounds that no real data set reaches, and one-hot labels as numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undoor.errors import UndoorError

# The largest public data sets have some 20,000 classes.
MAX_CLASSES = 1_000_000
# Characters of a class name.
MAX_NAME = 1_000
# However small an image is, its file spends a byte on it: a file that declares more samples than
# bytes, and more than these, is made to fill memory.
MIN_SAMPLES = 100_000
MAX_SAMPLES = 50_000_000


def require_samples(count: int, size: int, source: object) -> None:
    """Refuse a file that declares more samples than it can hold, before any is read.

    Parameters
    ----------
    count
        Samples that the file declares.
    size
        Bytes of the file.
    source
        What the file is called in the message.

    Raises
    ------
    UndoorError
        There are more samples than bytes, or more than `MAX_SAMPLES`.
    """
    limit = min(max(MIN_SAMPLES, size), MAX_SAMPLES)
    if count > limit:
        raise UndoorError(
            f"{source} declares {count:,} samples in {size:,} bytes, expected at most {limit:,}; "
            "write it again with an image in every sample, in several files where it has more"
        )


def require_names(names: Iterable[str], source: object) -> None:
    """Refuse names that cannot be those of classes.

    Raises
    ------
    UndoorError
        A name has more than `MAX_NAME` characters, or there are more than `MAX_CLASSES`.
    """
    for count, name in enumerate(names, 1):
        if len(name) > MAX_NAME:
            raise UndoorError(
                f"a label of {source} has {len(name):,} characters ({name[:30]!r}...); expected "
                f"the name or the number of a class, of at most {MAX_NAME:,} characters"
            )
        if count > MAX_CLASSES:
            raise UndoorError(f"{source} has more than {MAX_CLASSES:,} classes; expected fewer")


def require_number(label: int, source: object) -> None:
    """Refuse a number that cannot be that of a class.

    Raises
    ------
    UndoorError
        It is `MAX_CLASSES` or more.
    """
    if label >= MAX_CLASSES:
        raise UndoorError(
            f"label {label} of {source} is no class; expected class numbers from 0, below "
            f"{MAX_CLASSES:,}"
        )


def numbers_of_one_hot(labels: NDArray[Any]) -> NDArray[np.int64] | None:
    """Return the class numbers [N] of one-hot labels [N, K], K at least 2.

    None where a row is anything but a single 1 among zeros.

    Examples
    --------
    >>> numbers_of_one_hot(np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([1, 0])
    """
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "buif":
        return None
    ones = labels == 1
    if not ((labels == 0) | ones).all() or not (ones.sum(1) == 1).all():
        return None
    return ones.argmax(1).astype(np.int64)


def whole_numbers(labels: NDArray[Any], source: object) -> NDArray[np.int64]:
    """Return whole numbers that are stored as floats as integers.

    Raises
    ------
    UndoorError
        One of them is no whole number.

    Examples
    --------
    >>> whole_numbers(np.array([0.0, 2.0]), "data")
    array([0, 2])
    """
    odd = labels[~(np.isfinite(labels) & (labels == np.trunc(labels)))]
    if odd.size:
        raise UndoorError(
            f"the labels of {source} are {labels.dtype} with values such as {odd.flat[0]:g}; "
            "expected whole numbers: the number of a class for each image"
        )
    largest = labels.max(initial=0)
    if largest >= MAX_CLASSES:
        require_number(int(largest), source)
    return labels.astype(np.int64)
