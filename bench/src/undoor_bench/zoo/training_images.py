"""Which images a training uses, and under which labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def long_tail(classes: int, imbalance: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return which share of its images each class keeps, [classes], in a random order of classes.

    From 1 for the first down to 1 / `imbalance` for the last, each by the same factor (Cui et al.,
    CVPR 2019, arXiv 1901.05555, section 5.1).

    >>> sorted(long_tail(3, 16.0, np.random.default_rng(0)).tolist())
    [0.0625, 0.25, 1.0]
    """
    out: NDArray[np.float64] = imbalance ** -np.linspace(0, 1, classes)[rng.permutation(classes)]
    return out


def drawn_rows(y: Labels, shares: NDArray[np.float64], rng: np.random.Generator) -> Labels:
    """Return random rows of labels y [N], in order: a share of each class, one image at least.

    Parameters
    ----------
    shares
        By class, in (0, 1].
    """
    rows = []
    for label in np.unique(y):
        of_class = rng.permutation(np.flatnonzero(y == label))
        rows.append(of_class[: max(1, round(len(of_class) * shares[label]))])
    return np.sort(np.concatenate(rows))


def mislabelled(y: Labels, share: float, classes: int, rng: np.random.Generator) -> Labels:
    """Return labels [N] of which a random share is wrong, each wrong class as likely as another.

    >>> mislabelled(np.array([0, 1, 1]), 1.0, 2, np.random.default_rng(0)).tolist()
    [1, 0, 0]
    """
    wrong = rng.permutation(len(y))[: round(share * len(y))]
    out = y.copy()
    out[wrong] = (y[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return out
