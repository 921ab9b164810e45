"""Data sets by name: files in a folder, and what is derived from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undoor.clean_set.npz_arrays import array, open_npz
from undoor.errors import UndoorError
from undoor_bench.zoo.derived import Arrays, derivation


def read_arrays(file: Path, split: str) -> Arrays:
    """Return images and labels of one split of the data set ``DATA/NAME.npz``.

    Where NAME is a derived data set there need be no such file, only that which it is made of.

    Raises
    ------
    UndoorError
        The file is missing or damaged, lacks x_SPLIT or y_SPLIT, or does not suit the derivation.
    """
    found = derivation(file.stem)
    if found is not None:
        base, derive = found
        return derive(*read_arrays(file.with_name(f"{base}.npz"), split))
    try:
        with open_npz(file) as archive:
            return array(archive, f"x_{split}", file), array(archive, f"y_{split}", file)
    except UndoorError as error:
        raise UndoorError(f"{file}: expected x_{split} and y_{split} ({error})") from None


def count_images(file: Path, split: str) -> int:
    """Return how many images a split has, by its labels alone.

    Its images may be left out of the file.

    Raises
    ------
    UndoorError
        The file is missing or damaged, lacks y_SPLIT, or does not suit the derivation.
    """
    return len(_labels(file, split))


def _labels(file: Path, split: str) -> NDArray[np.int64]:
    found = derivation(file.stem)
    if found is not None:
        base, derive = found
        labels = _labels(file.with_name(f"{base}.npz"), split)
        # Tiny images stand for those that may not be there.
        return derive(np.zeros((len(labels), 2, 2, 3), np.uint8), labels)[1]
    try:
        with open_npz(file) as archive:
            return array(archive, f"y_{split}", file)
    except UndoorError as error:
        raise UndoorError(f"{file}: expected y_{split} ({error})") from None
