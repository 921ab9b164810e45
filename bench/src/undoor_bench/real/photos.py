"""Photos of 224 pixels in a .zip file ``{train,val}/CLASS/*.jpg``, without unpacking it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undoor.errors import UndoorError

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Photos:
    """Pictures with their labels.

    Attributes
    ----------
    x
        [N, 3, H, W], bytes.
    y
        [N], places in `classes`.
    classes
        Names.
    """

    x: Bytes
    y: Labels
    classes: tuple[str, ...]


def read_photos(file: Path, part: str, classes: Sequence[str] | None = None) -> Photos:
    """Read one part of a .zip file of photos of one size.

    Parameters
    ----------
    file
        The .zip file.
    part
        Name of the folder in it: "train" or "val".
    classes
        Names of the folders to read, in the order of their labels; all where none are given, in
        alphabetical order.

    Raises
    ------
    UndoorError
        The file holds no such photos.
    """
    pictures, labels = [], []
    with zipfile.ZipFile(file) as archive:
        parts = [name.split("/") for name in sorted(archive.namelist())]
        of_part = [each for each in parts if each[0] == part and each[-1].endswith(".jpg")]
        names = tuple(sorted({each[1] for each in of_part}) if classes is None else classes)
        for each in of_part:
            if each[1] in names:
                with archive.open("/".join(each)) as photo:
                    pictures.append(np.asarray(Image.open(photo).convert("RGB")))
                labels.append(names.index(each[1]))
    if not pictures:
        raise UndoorError(
            f"{file}: expected photos in {part}/CLASS/*.jpg, found none; give another file or part"
        )
    x = np.stack(pictures).transpose(0, 3, 1, 2)
    return Photos(np.ascontiguousarray(x), np.array(labels), names)
