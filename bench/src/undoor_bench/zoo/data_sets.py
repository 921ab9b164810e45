"""Data sets by name: files in a folder, and what is derived from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undoor.clean_set.npz_arrays import array, open_npz
from undoor.errors import UndoorError
from undoor_bench.zoo.turned import turned

Arrays = tuple[NDArray[Any], NDArray[np.int64]]
# {name: (the data set it is made of, how a split of it becomes one of this, image by image)}
DERIVED: dict[str, tuple[str, Callable[[NDArray[Any], NDArray[np.int64]], Arrays]]] = {
    "gtsrb_turned": ("gtsrb", turned),
}


def read_arrays(file: Path, split: str) -> Arrays:
    """Return images and labels of one split of the data set ``DATA/NAME.npz``.

    Where NAME is a derived data set there need be no such file, only that which it is made of.

    Raises
    ------
    UndoorError
        The file is missing or damaged, or lacks x_SPLIT or y_SPLIT.
    """
    if file.stem in DERIVED:
        base, derive = DERIVED[file.stem]
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
        The file is missing or damaged, or lacks y_SPLIT.
    """
    if file.stem in DERIVED:
        return count_images(file.with_name(f"{DERIVED[file.stem][0]}.npz"), split)
    try:
        with open_npz(file) as archive:
            return len(array(archive, f"y_{split}", file))
    except UndoorError as error:
        raise UndoorError(f"{file}: expected y_{split} ({error})") from None
