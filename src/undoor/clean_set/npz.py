"""Clean samples from a NumPy archive: `x` and `y`, or `x_SPLIT` and `y_SPLIT`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from undoor.clean_set.images import MOST_PIXELS
from undoor.clean_set.index import Index, Raw
from undoor.clean_set.source import channels_first, class_numbers
from undoor.errors import UndoorError


def index_npz(path: Path, split: str | None) -> Index:
    """Images and labels of one split; a text array `classes` gives the class names.

    Raises
    ------
    UndoorError : the archive is damaged, holds Python objects, or does not say which split.
    """
    with open_npz(path) as archive:
        images = _stored(archive, _name_of("x", archive, path, split), path)
        name = _name_of("y", archive, path, split)
        labels = class_numbers(member(archive, name, path), images.shape[0], str(path))
        names = member(archive, "classes", path) if "classes" in archive.files else None
    if len(labels) and int(labels.min()) < 0:
        raise UndoorError(f"label {labels.min()} of {path} is no class; use 0, 1, 2, ...")
    if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
        names = None
    return Index(
        str(path),
        labels.tolist(),
        lambda row: f"{path}[{row}]",
        lambda rows: _rows(path, images, rows),
        None if names is None else tuple(str(name) for name in names),
    )


class Stored(NamedTuple):
    """How an array lies in an archive: its values begin at `start` of its member."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int


def _stored(archive: NpzFile, name: str, path: Path) -> Stored:
    """The array of images `name`, checked by its header alone.

    Raises
    ------
    UndoorError : they are not images of numbers, or each is too large.
    """
    headers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        with _zip(archive).open(f"{name}.npy") as stream:
            shape, fortran, dtype = headers[npy.read_magic(stream)](stream)
            stored = Stored(name, shape, dtype, fortran, stream.tell())
        if dtype.hasobject:
            raise ValueError("an array of objects")
        likeness = np.broadcast_to(np.empty((), dtype), shape)
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(name, path, error) from error
    channels_first(likeness, str(path))
    if math.prod(shape[1:]) > MOST_PIXELS:
        raise UndoorError(f"each image of {path} has {math.prod(shape[1:]):,} values; too many")
    return stored


def _rows(path: Path, images: Stored, rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
    """Some images, one at a time; what is not wanted is passed over, not kept."""
    length = math.prod(images.shape[1:]) * images.dtype.itemsize
    with open_npz(path) as archive:
        if images.fortran:
            # The values of one image lie all over the array.
            whole = member(archive, images.name, path)
            yield from ((row, _pixels(whole[row], path)) for row in rows)
            return
        with _zip(archive).open(f"{images.name}.npy") as stream:
            for row in rows:
                try:
                    stream.seek(images.start + row * length)
                    values = np.frombuffer(stream.read(length), images.dtype)
                    image = values.reshape(images.shape[1:])
                except MemoryError:
                    raise
                except Exception as error:
                    raise _unreadable(images.name, path, error) from error
                yield row, _pixels(image, path)


def _zip(archive: NpzFile) -> ZipFile:
    assert archive.zip is not None
    return archive.zip


def _pixels(image: NDArray[Any], path: Path) -> NDArray[Any]:
    """One image as [H, W, C]."""
    return channels_first(image[None], str(path))[0].transpose(1, 2, 0)


def open_npz(path: Path) -> NpzFile:
    """The archive at `path`, in which nothing is unpickled."""
    try:
        archive = np.load(path, allow_pickle=False)
    except Exception as error:
        raise UndoorError(
            f"{path} is not a readable .npz archive ({_first_line(error)}); write it with np.savez"
        ) from error
    if not isinstance(archive, NpzFile):
        raise UndoorError(f"{path} holds a single array; expected x and y written by np.savez")
    return archive


def image_array(archive: NpzFile, path: Path, split: str | None) -> NDArray[Any]:
    """The images [N, C, H, W] of one split."""
    return channels_first(member(archive, _name_of("x", archive, path, split), path), str(path))


def member(archive: NpzFile, name: str, path: Path) -> NDArray[Any]:
    """One array of the archive."""
    try:
        return np.asarray(archive[name])
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(name, path, error) from error


def _name_of(letter: str, archive: NpzFile, path: Path, split: str | None) -> str:
    names = set(archive.files)
    splits = sorted(name[2:] for name in names if name.startswith("x_"))
    listing = ", ".join(splits)
    if split is not None:
        name = f"{letter}_{split}"
        if name not in names:
            raise UndoorError(f"{path} has no {name}; its splits are: {listing or 'none'}")
        return name
    if "x" in names or not splits:
        if letter not in names:
            found = ", ".join(sorted(names)) or "nothing"
            raise UndoorError(f"{path} has no array {letter}; expected x and y, found: {found}")
        return letter
    if len(splits) > 1:
        raise UndoorError(f"{path} holds the splits {listing}; choose with --split")
    return _name_of(letter, archive, path, splits[0])


def _unreadable(name: str, path: Path, error: Exception) -> UndoorError:
    return UndoorError(
        f"{name} of {path} cannot be read ({_first_line(error)}); "
        "store plain numeric arrays, not Python objects, and copy a truncated file again"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
