"""Points to train on: digits as reliefs of bright pixels, and what a radar saw of people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undoor.errors import UndoorError

Points = NDArray[np.float32]
Labels = NDArray[np.int64]
# Points of a set.
COUNT = 128
# Digits to train on, and to draw a defender's and test digits from.
TRAINED, TESTED = 3_000, 3_000
# Half the side of a digit, and the height of its brightest pixels above its darkest ones.
HALF, RELIEF = 14.0, 0.4
# Middle and half the range of what the radar gives: x, y, z, time, velocity, intensity.
MIDDLE = np.array([2.5, 0.0, 0.4, 0.5, 0.0, 0.9], np.float32)
REACH = np.array([2.5, 3.0, 4.6, 0.5, 5.0, 0.4], np.float32)


@dataclass(frozen=True, eq=False)
class PointData:
    """Sets of points [N, P, C] in [-1, 1] and their labels [N], for training and for tests.

    Attributes
    ----------
    classes
        The names of the classes.
    """

    classes: tuple[str, ...]
    x_train: Points
    y_train: Labels
    x_test: Points
    y_test: Labels

    @property
    def shape(self) -> tuple[int, int]:
        """(P, C) of a set."""
        return (self.x_train.shape[1], self.x_train.shape[2])


def read_points(name: str, folder: Path) -> PointData:
    """Return a data set by its name.

    Parameters
    ----------
    name
        One of `POINTS`.
    folder
        With mnist.npz and radhar.npz.

    Raises
    ------
    UndoorError
        There is no such data set, or its file is missing.
    """
    if name not in POINTS:
        raise UndoorError(f"data must be one of {', '.join(POINTS)}, got {name!r}")
    file, read = POINTS[name]
    if not (folder / file).is_file():
        raise UndoorError(f"{folder} holds no {file}; give the folder with it as --data")
    return read(folder / file)


def _digits(file: Path) -> PointData:
    """Return digits as points drawn among their pixels, bright ones more often, always the same.

    x to the right, y up, and z higher where the pixel is brighter.
    """
    with np.load(file) as arrays:
        images = arrays["x_train"][:TRAINED], arrays["x_test"][:TESTED]
        y = [arrays["y_train"][:TRAINED], arrays["y_test"][:TESTED]]
        classes = tuple(map(str, arrays["classes"]))
    generator = np.random.default_rng(0)
    x = [np.stack([_relief(image, generator) for image in part]) for part in images]
    return PointData(classes, x[0], y[0].astype(np.int64), x[1], y[1].astype(np.int64))


def _relief(image: NDArray[np.uint8], generator: np.random.Generator) -> Points:
    """Return points [COUNT, 3] of a digit, in random order."""
    light = image.astype(np.float32).ravel() / 255
    pixels = generator.choice(light.size, COUNT, p=light / light.sum())
    row, column = np.divmod(pixels, image.shape[1])
    jitter = generator.uniform(-0.5, 0.5, (2, COUNT))
    x = (column + 0.5 + jitter[0]) / HALF - 1
    y = 1 - (row + 0.5 + jitter[1]) / HALF
    z = RELIEF * (light[pixels] - 0.5)
    return np.stack([x, y, z], 1).clip(-1, 1).astype(np.float32)


def _activities(file: Path) -> PointData:
    """Return what a radar saw of people, in random order: half of its points, scaled."""
    with np.load(file) as arrays:
        x = [arrays[f"x_{part}"].astype(np.float32) for part in ("train", "test")]
        y = [arrays[f"y_{part}"].astype(np.int64) for part in ("train", "test")]
        classes = tuple(map(str, arrays["classes"]))
    generator = np.random.default_rng(0)
    drawn = [generator.permuted(_numbers(part), axis=1)[:, :COUNT] for part in x]
    scaled = [
        ((np.take_along_axis(part, rows[..., None], 1) - MIDDLE) / REACH).clip(-1, 1)
        for part, rows in zip(x, drawn, strict=True)
    ]
    return PointData(classes, scaled[0], y[0], scaled[1], y[1])


def _numbers(x: Points) -> NDArray[np.int64]:
    """Return the numbers [N, P] of the points of each set."""
    return np.tile(np.arange(x.shape[1]), (len(x), 1))


POINTS: dict[str, tuple[str, Callable[[Path], PointData]]] = {
    "point digits": ("mnist.npz", _digits),
    "activities": ("radhar.npz", _activities),
}
