"""Small pictures, folders of them, and clean sets of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from undoor.clean_set import CleanSet

BLACK = np.uint8(0)


def picture(value: int = 10, mode: str = "RGB", size: tuple[int, int] = (4, 4)) -> Image.Image:
    colour = value if len(Image.new(mode, (1, 1)).getbands()) == 1 else None
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.new(mode, size, colour if bands == 1 else (value,) * bands)


def encoded(value: int = 10, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    picture(value, mode).save(stream, "PNG")
    return stream.getvalue()


def make_folder(root: Path, classes: list[str], each: int = 2, **options: Any) -> Path:
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(each):
            picture(10 * number + i, **options).save(root / name / f"{i}.png")
    return root


def arrays(*labels: int, shape: tuple[int, ...] = (4, 4, 3), value: Any = BLACK) -> CleanSet:
    images = np.full((len(labels), *shape), value)
    return CleanSet.from_arrays(images, np.array(labels, dtype=np.int64))
