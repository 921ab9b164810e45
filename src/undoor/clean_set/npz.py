"""Clean samples from a NumPy archive: `x` and `y`, or `x_SPLIT` and `y_SPLIT`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from undoor.clean_set.source import Source, channels_first, class_numbers
from undoor.errors import UndoorError


def read_npz(path: Path, split: str | None) -> Source:
    """Images and labels of one split; a text array `classes` gives the class names.

    Raises
    ------
    UndoorError : the archive is damaged, holds Python objects, or does not say which split.
    """
    with open_npz(path) as archive:
        images = image_array(archive, path, split)
        name = _name_of("y", archive, path, split)
        labels = class_numbers(member(archive, name, path), len(images), str(path))
        names = member(archive, "classes", path) if "classes" in archive.files else None
    if names is None or names.ndim != 1 or names.dtype.kind != "U":
        return Source(images, labels)
    return Source(images, labels, tuple(str(name) for name in names))


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
    except Exception as error:
        raise UndoorError(
            f"{name} of {path} cannot be read ({_first_line(error)}); "
            "store plain numeric arrays, not Python objects"
        ) from error


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


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
