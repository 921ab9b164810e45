"""Batches, as a DataLoader makes them, taken apart into images with one label each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from undoor.clean_set.labels import numbers_of_one_hot
from undoor.clean_set.source import CHANNELS
from undoor.device import on_cpu
from undoor.errors import UndoorError


def singly(image: Any, label: Any, source: str) -> Iterator[tuple[Any, Any]]:
    """Yield each image of a batch with its label; a single image as it is.

    Labels of a batch may be [N], [N, 1] or one-hot [N, K], as arrays, tensors or lists; the label
    of a single image a number, a name, an array of one number, or one-hot [K].

    Raises
    ------
    UndoorError
        Images and labels differ in number, a label stands for several classes, or it cannot be
        known whether this is a batch.
    """
    label = plain(label)
    single, lines = _size(image) is None, _line(label)
    if single:
        yield image, label if lines is None else _one(lines, source)
    elif lines is not None and _is_one_image(image, lines, source):
        yield image, _one(lines, source)
    elif lines is None and not _is_rows(label):
        yield image, label
    else:
        labels = _each(label, len(image), source)
        if len(labels) != len(image):
            raise UndoorError(
                f"a batch of {source} has {len(image)} images but {len(labels)} labels"
            )
        yield from zip(image, labels, strict=True)


def plain(value: Any) -> Any:
    """Return a tensor as an array on the CPU, and anything else as it is."""
    if isinstance(value, Tensor):
        value = on_cpu(value)
        return (value.float() if value.is_floating_point() else value).numpy()
    return value


def _size(image: Any) -> int | None:
    """Return how many images there may be; None where it is certainly one."""
    if isinstance(image, list | tuple):
        return len(image)
    if isinstance(image, Tensor | np.ndarray) and image.ndim > 2:
        return image.shape[0]
    return None


def _line(label: Any) -> list[Any] | None:
    """Return the entries of a label that is a list or [N]; None for any other."""
    if isinstance(label, np.ndarray) and label.ndim == 1:
        return list(label.tolist())
    if isinstance(label, list | tuple) and not any(map(_is_rows, label)):
        return list(label)
    return None


def _is_rows(label: Any) -> bool:
    """Return whether this is a list or an array of at least one axis."""
    return isinstance(label, list | tuple) or np.ndim(plain(label) if _is_array(label) else 0) > 0


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _is_one_image(image: Any, labels: Sequence[Any], source: str) -> bool:
    """Return whether three axes are one picture whose label is [1] or one-hot."""
    if not _is_array(image) or image.ndim != 3:
        return False
    ends = image.shape[:1] if isinstance(image, Tensor) else (image.shape[0], image.shape[-1])
    if len(labels) == 1:
        return image.shape[0] != 1
    if not any(end in CHANNELS for end in ends) or not _is_binary(labels):
        return False
    if len(labels) == image.shape[0]:
        raise UndoorError(
            f"{source} gave an image of shape {tuple(image.shape)} with {len(labels)} labels, "
            "which is either one image with a one-hot label or several grey images with one class "
            "each; give class numbers instead of one-hot labels"
        )
    return True


def _is_binary(labels: Sequence[Any]) -> bool:
    """Return whether these may be the entries of a one-hot label, or of one that tries to be."""
    row = _numbers(labels)
    return row is not None and bool(((row == 0) | (row == 1)).all())


def _one(labels: Sequence[Any], source: str) -> Any:
    """Return the label of one image."""
    if len(labels) == 1:
        return labels[0]
    number = _hot(labels)
    if number is None:
        raise UndoorError(_several(labels, source))
    return number


def _hot(labels: Sequence[Any]) -> int | None:
    row = _numbers([labels])
    found = None if row is None else numbers_of_one_hot(row)
    return None if found is None else int(found[0])


def _each(label: Any, count: int, source: str) -> list[Any]:
    """Return one label for each image of a batch."""
    line = _line(label)
    if line is not None:
        return line
    rows = label if isinstance(label, np.ndarray) else _numbers([plain(item) for item in label])
    if rows is None or rows.ndim != 2:
        raise UndoorError(_several(label, source))
    # Labels that are lists come from a DataLoader as one tensor [N] per entry.
    turned = isinstance(label, list | tuple) and rows.shape[1] == count
    if turned and rows.shape[0] == count and count > 1:
        found = [numbers_of_one_hot(way) for way in (rows, rows.T)]
        if found[0] is None or found[1] is None or (found[0] != found[1]).any():
            raise UndoorError(_several(label, source))
    rows = rows.T if turned and rows.shape[0] != count else rows
    if rows.shape[1] == 1:
        return list(rows[:, 0].tolist())
    numbers = numbers_of_one_hot(rows)
    if numbers is None:
        raise UndoorError(_several(label, source))
    return list(numbers.tolist())


def _numbers(rows: Sequence[Any]) -> NDArray[Any] | None:
    try:
        found = np.asarray(rows)
    except (ValueError, TypeError, RuntimeError):
        return None
    return found if found.dtype.kind in "buif" else None


def _several(label: Any, source: str) -> str:
    shown = " ".join(str(label).split())
    return (
        f"a label of {source} is {shown[:60]}; expected one class per image: a number, a name, or "
        "a one-hot label with a single 1 among zeros"
    )
