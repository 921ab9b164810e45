"""The samples of a source, before they are checked against a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from undoor.clean_set.labels import numbers_of_one_hot, require_number, whole_numbers
from undoor.clean_set.reading import Reading
from undoor.errors import UndoorError

CHANNELS = (1, 3, 4)


class Source(NamedTuple):
    """Images [N, C, H, W] as stored, and the number of the class of each."""

    images: NDArray[Any]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...] | None = None
    reading: Reading = Reading()


def channels_first(images: NDArray[Any], source: str) -> NDArray[Any]:
    """Return images [N, H, W, C], [N, C, H, W] or [N, H, W] (grey) as [N, C, H, W].

    Where 1, 3 or 4 channels could stand at either end, they are taken to stand last.

    Parameters
    ----------
    images
        Uint8 or float.
    source
        Their name in messages.

    Raises
    ------
    UndoorError
        They have another type or another shape.
    """
    if images.dtype.kind not in "uif":
        raise UndoorError(f"the images of {source} are {images.dtype}; expected uint8 or float")
    if images.dtype.kind in "ui" and images.dtype != np.uint8:
        raise UndoorError(
            f"the images of {source} are {images.dtype}, whose range cannot be known; "
            "store uint8, or floats within the model's bounds"
        )
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[3] in CHANNELS:
        return images.transpose(0, 3, 1, 2)
    if images.ndim == 4 and images.shape[1] in CHANNELS:
        return images
    raise UndoorError(
        f"the images of {source} have the shape {images.shape}; "
        "expected [N, H, W, C], [N, C, H, W] with 1, 3 or 4 channels, or [N, H, W]"
    )


def choose_split(splits: Sequence[str], split: str | None, source: object) -> str:
    """Return the split that is meant: the one named, or the only one.

    Raises
    ------
    UndoorError
        There are several and none is named, or the one named is not there.
    """
    listing = ", ".join(splits)
    if split is None and len(splits) > 1:
        raise UndoorError(f"{source} holds the splits {listing}; choose with --split")
    if split is not None and split not in splits:
        raise UndoorError(f"{source} has no split {split!r}; its splits are: {listing}")
    return splits[0] if split is None else split


def class_numbers(labels: NDArray[Any], count: int, source: str) -> NDArray[np.int64]:
    """Return labels [N], [N, 1] or one-hot [N, K] as int64 [N], one for each of `count` images.

    Raises
    ------
    UndoorError
        They are no class numbers, or not one per image.
    """
    if not labels.size:
        labels = np.zeros(0, np.int64)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    one_hot = numbers_of_one_hot(labels)
    labels = labels if one_hot is None else one_hot
    if labels.ndim == 1 and labels.dtype.kind == "f":
        labels = whole_numbers(labels, source)
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        names = "; give names in an .npz or to from_iterable" if labels.dtype.kind in "US" else ""
        raise UndoorError(
            f"the labels of {source} are {labels.dtype} of shape {labels.shape}; "
            f"expected one integer per image, [N]{names}"
        )
    if len(labels) != count:
        raise UndoorError(
            f"{source} has {count} images but {len(labels)} labels; give one label per image"
        )
    if len(labels):
        # In the array's own type: as int64 the largest of uint64 would be negative.
        require_number(int(labels.max()), source)
    return labels.astype(np.int64)
