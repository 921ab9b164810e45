"""Clean samples from a NumPy archive: `x` and `y`, or `x_SPLIT` and `y_SPLIT`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from undoor.clean_set.images import MAX_PIXELS
from undoor.clean_set.index import MAX_MEMORY, Index, Label, Raw
from undoor.clean_set.labels import MAX_CLASSES, MAX_NAME, require_samples
from undoor.clean_set.npz_arrays import (
    ArrayHeader,
    member,
    open_npz,
    read_header,
    unreadable,
    zip_of,
)
from undoor.clean_set.source import channels_first, class_numbers
from undoor.errors import UndoorError

# What archives of points call them.
OTHER_NAMES = {"x": "points", "y": "labels"}
# Bytes of all class names together.
MAX_NAMES = 2**28
# Numbers of all labels together, where they are rows of numbers.
MAX_VALUES = 2**28


def index_npz(path: Path, split: str | None) -> Index:
    """Return the index of one split; a text array `classes` gives the class names.

    Labels below 0 stand for no label.

    Parameters
    ----------
    path
        Of the archive.
    split
        Reads `x_SPLIT` and `y_SPLIT`; None reads `x` and `y`, or the only split.

    Raises
    ------
    UndoorError
        The archive is damaged, holds Python objects, unpacks to far more than its size, or has
        several splits and none is chosen.
    """
    with open_npz(path) as archive:
        images = _images(archive, _name_of("x", archive, path, split), path)
        labels = _labels(archive, _name_of("y", archive, path, split), path, images.shape[0])
        names = _class_names(archive, path)
    return Index(
        str(path),
        labels,
        lambda row: f"{path}[{row}]",
        lambda rows: _rows(path, images, rows),
        names,
    )


def image_array(archive: NpzFile, path: Path, split: str | None) -> NDArray[Any]:
    """Return the images [N, C, H, W] of one split.

    Raises
    ------
    UndoorError
        They are no images, or take more than 4 GiB as float32.
    """
    images = _images(archive, _name_of("x", archive, path, split), path)
    needed = math.prod(images.shape) * np.dtype(np.float32).itemsize
    if needed > MAX_MEMORY:
        raise UndoorError(
            f"the images of {path} take {needed / 2**20:,.0f} MiB as float32, expected "
            f"at most {MAX_MEMORY / 2**20:,.0f} MiB; give them in several archives"
        )
    return channels_first(member(archive, images, path), str(path))


def label_array(archive: NpzFile, path: Path, split: str | None, count: int) -> NDArray[Any]:
    """Return the labels of one split as float64, one number or row for each of `count` images.

    Raises
    ------
    UndoorError
        They are no such numbers.
    """
    found = read_header(archive, _name_of("y", archive, path, split), path)
    if found.dtype.kind not in "buif" or found.shape[:1] != (count,) or found.size > MAX_VALUES:
        raise UndoorError(
            f"the labels of {path} are {found.dtype} of shape {found.shape}; expected numbers, one "
            f"or a row of them for each of the {count} inputs"
        )
    return np.asarray(member(archive, found, path), np.float64)


def _images(archive: NpzFile, name: str, path: Path) -> ArrayHeader:
    """Return the array of images `name`, checked by its header alone."""
    images = read_header(archive, name, path)
    try:
        likeness = np.broadcast_to(np.empty((), images.dtype), images.shape)
    except ValueError as error:
        raise unreadable(name, path, error) from error
    channels_first(likeness, str(path))
    pixels = math.prod(images.shape[1:])
    if pixels > MAX_PIXELS:
        raise UndoorError(
            f"each image of {path} has {pixels:,} values; expected at most {MAX_PIXELS:,}"
        )
    if images.shape[0] and not pixels:
        raise UndoorError(f"the images of {path} have the shape {images.shape}: none has a pixel")
    require_samples(images.shape[0], path.stat().st_size, f"{name} of {path}")
    return images


def _labels(archive: NpzFile, name: str, path: Path, count: int) -> list[Label]:
    found = read_header(archive, name, path)
    likely = found.shape and math.prod(found.shape[1:]) <= MAX_CLASSES
    if likely and found.shape[0] != count:
        raise UndoorError(
            f"{path} has {count} images but {found.shape[0]} labels; give one label per image"
        )
    if found.dtype.kind in "US" and len(found.shape) == 1:
        return _named(archive, found, path)
    return list(class_numbers(member(archive, found, path), count, str(path)).tolist())


def _named(archive: NpzFile, found: ArrayHeader, path: Path) -> list[Label]:
    """Return labels that are names of classes; an empty one stands for no label."""
    _require_short(found, "labels", path)
    texts = (
        text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        for text in member(archive, found, path).tolist()
    )
    return [text.strip() or None for text in texts]


def _require_short(names: ArrayHeader, what: str, path: Path) -> None:
    """Refuse names longer than those of classes, by the header of their array."""
    widest = MAX_NAME * np.dtype("U1").itemsize
    if names.dtype.itemsize > widest or names.size > MAX_NAMES:
        raise UndoorError(
            f"{what} of {path} are {names.shape[0]:,} names of {names.dtype}; expected class "
            f"names of at most {MAX_NAME:,} characters"
        )


def _class_names(archive: NpzFile, path: Path) -> tuple[str, ...] | None:
    if "classes" not in archive.files:
        return None
    names = read_header(archive, "classes", path)
    if len(names.shape) != 1 or names.dtype.kind != "U":
        return None
    _require_short(names, "classes", path)
    if names.shape[0] > MAX_CLASSES:
        raise UndoorError(
            f"{path} has {names.shape[0]:,} classes; expected at most {MAX_CLASSES:,}"
        )
    return tuple(str(name) for name in member(archive, names, path))


def _rows(path: Path, images: ArrayHeader, rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
    """Yield some images, one at a time; the others are skipped without being read."""
    length = math.prod(images.shape[1:]) * images.dtype.itemsize
    with open_npz(path) as archive:
        if images.fortran:
            # The values of one image lie all over the array.
            whole = member(archive, images, path)
            yield from ((row, _pixels(whole[row], path)) for row in rows)
            return
        with zip_of(archive).open(f"{images.name}.npy") as stream:
            for row in rows:
                try:
                    stream.seek(images.start + row * length)
                    values = np.frombuffer(stream.read(length), images.dtype)
                    image = values.reshape(images.shape[1:])
                except MemoryError:
                    raise
                except Exception as error:
                    raise unreadable(images.name, path, error) from error
                yield row, _pixels(image, path)


def _pixels(image: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return one image as [H, W, C]."""
    return channels_first(image[None], str(path))[0].transpose(1, 2, 0)


def _name_of(letter: str, archive: NpzFile, path: Path, split: str | None) -> str:
    names = set(archive.files)
    splits = sorted(name[2:] for name in names if name.startswith("x_"))
    listing = ", ".join(splits[:20])
    if split is not None:
        name = f"{letter}_{split}"
        if name not in names:
            raise UndoorError(f"{path} has no {name}; its splits are: {listing or 'none'}")
        return name
    if "x" in names or not splits:
        name = letter if letter in names else OTHER_NAMES[letter]
        if name not in names:
            found = ", ".join(sorted(names)[:20]) or "nothing"
            raise UndoorError(f"{path} has no array {letter}; expected x and y, found: {found}")
        return name
    if len(splits) > 1:
        raise UndoorError(f"{path} holds the splits {listing}; choose with --split")
    return _name_of(letter, archive, path, splits[0])
