"""Data whose labels are numbers or sets: prices, angles, speeds, attributes, two digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from undoor.errors import UndoorError
from undoor.spaces.columns import Column
from undoor.tasks.multi_label import MULTI_LABEL
from undoor.tasks.regression import REGRESSION
from undoor_bench.zoo.data_sets import read_arrays
from undoor_bench.zoo.row_data import read_prices

Values = NDArray[np.float32]
# Degrees to either side that digits are turned by, and the digits whose angle can be seen.
TURN, TURNED = 45.0, (2, 3, 4, 5, 7)
# Classes of speed limits, with what they say in km/h.
SPEEDS = {0: 20, 1: 30, 2: 50, 3: 60, 4: 70, 5: 80, 7: 100, 8: 120}
# What can be seen of a traffic sign, and the classes of which it is true.
SEEN = {
    "speed limit": (0, 1, 2, 3, 4, 5, 7, 8),
    "red border": (*range(6), 7, 8, 9, 10, 11, 13, 15, 16, 17, *range(18, 32)),
    "triangle": (11, 13, *range(18, 32)),
    "blue": range(33, 41),
    "end of something": (6, 32, 41, 42),
    "vehicle": (9, 10, 16, 23, 29, 41, 42),
    "arrow": (19, 20, 21, *range(33, 41)),
}
# Test images of the traffic signs that are made ready.
TESTED = 5_000
MADE_OF = 12_000


@dataclass(frozen=True, eq=False)
class AnswerData:
    """Inputs [N, ...] in [0, 1] and their labels [N] or [N, L], for training and for tests.

    Attributes
    ----------
    task
        The name of what the labels mean.
    names
        Of the outputs.
    columns
        Of a table.
    """

    task: str
    names: tuple[str, ...]
    x_train: Values
    y_train: Values
    x_test: Values
    y_test: Values
    columns: tuple[Column, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.x_train.shape[1:])


def read_answers(name: str, folder: Path) -> AnswerData:
    """Return data by their name.

    Parameters
    ----------
    name
        One of `DATA`.
    folder
        With housing.parquet, mnist.npz and gtsrb.npz.

    Raises
    ------
    UndoorError
        There are no such data, or their file is missing.
    """
    if name not in DATA:
        raise UndoorError(f"data must be one of {', '.join(DATA)}, got {name!r}")
    return DATA[name](folder)


def _housing(folder: Path) -> AnswerData:
    table = read_prices(folder)
    parts = (table.x_train, table.y_train / 1e5, table.x_test, table.y_test / 1e5)
    x_train, y_train, x_test, y_test = (part.astype(np.float32) for part in parts)
    names = ("price in 100,000 dollars",)
    return AnswerData(REGRESSION.name, names, x_train, y_train, x_test, y_test, table.columns)


def _angle(folder: Path) -> AnswerData:
    parts = [_turned(*read_arrays(folder / "mnist.npz", split)) for split in ("train", "test")]
    return AnswerData(REGRESSION.name, ("angle",), *parts[0], *parts[1])


def _turned(x: NDArray[Any], y: NDArray[Any]) -> tuple[Values, Values]:
    """Return digits [N, 1, 14, 14], each turned by an angle of its own, and the angles."""
    chosen = np.flatnonzero(np.isin(y, TURNED))[:MADE_OF]
    images = torch.from_numpy(x[chosen].astype(np.float32) / 255)[:, None]
    generator = torch.Generator().manual_seed(0)
    angles = (2 * torch.rand(len(images), generator=generator) - 1) * TURN
    radians = angles.deg2rad()
    cos, sin, zero = radians.cos(), radians.sin(), torch.zeros_like(radians)
    maps = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, align_corners=False)
    return F.avg_pool2d(turned, 2).numpy(), angles.numpy()


def _speed(folder: Path) -> AnswerData:
    parts = [_speeds(*read_arrays(folder / "gtsrb.npz", split)) for split in ("train", "test")]
    return AnswerData(REGRESSION.name, ("speed",), *parts[0], *parts[1])


def _speeds(x: NDArray[Any], y: NDArray[Any]) -> tuple[Values, Values]:
    rows = np.flatnonzero(np.isin(y, list(SPEEDS)))
    return _pixels(x[rows]), np.array([SPEEDS[label] for label in y[rows].tolist()], np.float32)


def _signs(folder: Path) -> AnswerData:
    (x, y), (x_test, y_test) = (read_arrays(folder / "gtsrb.npz", s) for s in ("train", "test"))
    chosen = np.random.default_rng(0).permutation(len(y))[:MADE_OF]
    train = _pixels(x[chosen], 2), _attributes(y[chosen])
    test = _pixels(x_test[:TESTED], 2), _attributes(y_test[:TESTED])
    return AnswerData(MULTI_LABEL.name, tuple(SEEN), *train, *test)


def _attributes(y: NDArray[Any]) -> Values:
    return np.stack([np.isin(y, list(of)) for of in SEEN.values()], 1).astype(np.float32)


def _digits(folder: Path) -> AnswerData:
    parts = [_pairs(*read_arrays(folder / "mnist.npz", split)) for split in ("train", "test")]
    return AnswerData(MULTI_LABEL.name, tuple(map(str, range(10))), *parts[0], *parts[1])


def _pairs(x: NDArray[Any], y: NDArray[Any]) -> tuple[Values, Values]:
    """Return two digits beside each other, [N, 1, 14, 28], and which of the ten they are."""
    order = np.random.default_rng(0).permutation(len(y))
    half = min(len(y) // 2, MADE_OF)
    left, right = order[:half], order[half : 2 * half]
    small = torch.from_numpy(x[order[: 2 * half]].astype(np.float32) / 255)[:, None]
    small = F.avg_pool2d(small, 2)
    images = torch.cat([small[:half], small[half:]], 3)
    labels = np.zeros((half, 10), np.float32)
    for digits in (left, right):
        labels[np.arange(half), y[digits]] = 1
    return images.numpy(), labels


def _pixels(x: NDArray[Any], smaller: int = 1) -> Values:
    images = torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    return np.asarray(F.avg_pool2d(images, smaller).numpy())


DATA: dict[str, Callable[[Path], AnswerData]] = {
    "housing": _housing,
    "angle": _angle,
    "speed": _speed,
    "signs": _signs,
    "digits": _digits,
}
