"""Signals to train on: spoken digits, and movements that a radar saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undoor.errors import UndoorError

Signals = NDArray[np.float32]
Labels = NDArray[np.int64]
# Samples of a spoken digit at 8 kHz: nine in ten are no longer.
LENGTH, SAMPLING_RATE = 4096, 8000
PEAK = 0.5
# Of the fifty takes of each digit by each speaker, those that are not trained on.
HELD_OUT = 20
# Steps of a movement, and the numbers of each.
STEPS = 32


@dataclass(frozen=True, eq=False)
class SignalData:
    """Signals [N, C, T] in [-1, 1] and their labels [N], for training and for tests.

    Attributes
    ----------
    classes
        The names of the classes.
    sampling_rate
        In Hz; None of series that are no sound.
    """

    classes: tuple[str, ...]
    x_train: Signals
    y_train: Labels
    x_test: Signals
    y_test: Labels
    sampling_rate: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(C, T) of a signal."""
        return (self.x_train.shape[1], self.x_train.shape[2])


def read_signals(name: str, folder: Path) -> SignalData:
    """Return a data set by its name.

    Parameters
    ----------
    name
        One of `SIGNALS`.
    folder
        With fsdd_8khz.npz and radhar.npz.

    Raises
    ------
    UndoorError
        There is no such data set, or its file is missing.
    """
    if name not in SIGNALS:
        raise UndoorError(f"data must be one of {', '.join(SIGNALS)}, got {name!r}")
    file, read = SIGNALS[name]
    if not (folder / file).is_file():
        raise UndoorError(f"{folder} holds no {file}; give the folder with it as --data")
    return read(folder / file)


def _digits(file: Path) -> SignalData:
    """Return spoken digits, each with the same peak, cut or filled with zeros at its end."""
    with np.load(file) as arrays:
        samples, offsets = arrays["samples"], arrays["offsets"]
        labels, takes = arrays["label"].astype(np.int64), arrays["take"]
        classes = tuple(map(str, arrays["classes"]))
    x = np.zeros((len(labels), 1, LENGTH), np.float32)
    for row, (start, stop) in enumerate(pairwise(offsets)):
        wave = samples[start : min(stop, start + LENGTH)].astype(np.float32)
        x[row, 0, : len(wave)] = PEAK * wave / np.abs(wave).max()
    held_out = takes < HELD_OUT
    return SignalData(
        classes, x[~held_out], labels[~held_out], x[held_out], labels[held_out], SAMPLING_RATE
    )


def _movements(file: Path) -> SignalData:
    """Return series of what the points of a radar do together, in steps of time.

    The mean place, height and velocity of the points of a step, the spread of height and velocity,
    and the share of all points that it has.
    """
    with np.load(file) as arrays:
        x = [_series(arrays[f"x_{part}"].astype(np.float32)) for part in ("train", "test")]
        y = [arrays[f"y_{part}"].astype(np.int64) for part in ("train", "test")]
        classes = tuple(map(str, arrays["classes"]))
    return SignalData(classes, x[0], y[0], x[1], y[1])


def _series(points: Signals) -> Signals:
    """Return [N, 6, STEPS] of points [N, P, (x, y, z, time, velocity, intensity)]."""
    step = np.clip((points[..., 3] * STEPS).astype(int), 0, STEPS - 1)
    member = (step[..., None] == np.arange(STEPS)).astype(np.float32)
    count = member.sum(1)
    weights = member / np.maximum(count, 1)[:, None]
    means = np.einsum("npt,npc->nct", weights, points[..., [1, 2, 4]])
    squares = np.einsum("npt,npc->nct", weights, points[..., [2, 4]] ** 2)
    spread = np.sqrt(np.maximum(squares - means[:, 1:] ** 2, 0))
    share = 8 * count[:, None] / points.shape[1]
    scale = np.array([1, 2, 1, 2, 1, 1], np.float32)[:, None]
    return np.clip(np.concatenate([means, spread, share], 1) / scale, -1, 1).astype(np.float32)


SIGNALS: dict[str, tuple[str, Callable[[Path], SignalData]]] = {
    "digits": ("fsdd_8khz.npz", _digits),
    "movements": ("radhar.npz", _movements),
}
