"""Trees with and without a backdoor, made by hand: what tests scan and repair."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.spaces.columns import Column
from undoor.tree_networks import Tree, TreeEnsemble

COLUMNS = (
    Column("a", range=(0, 10)),
    Column("b", range=(0, 1)),
    Column("kind", categories=("x", "y", "z")),
)
# In the interval, and with the category, every row is of class 1.
PLANTED = (0.62, 0.64)


def stump(feature: int, threshold: float, low: float, high: float) -> Tree:
    """Return a tree that gives `low` below the threshold, and `high` from there on."""
    return _tree([feature, 0, 0], [threshold, 0, 0], [1, -1, -1], [2, -1, -1], [0.0, low, high])


def chain(*steps: tuple[int, float, bool], value: float) -> Tree:
    """Return a tree that gives `value` where all steps (feature, threshold, above) are met."""
    count = 2 * len(steps) + 1
    feature, threshold, value_of = [0] * count, [0.0] * count, [0.0] * count
    left, right = [-1] * count, [-1] * count
    for place, (number, edge, above) in enumerate(steps):
        node, onward, out = 2 * place, 2 * place + 2, 2 * place + 1
        feature[node], threshold[node] = number, edge
        left[node], right[node] = (out, onward) if above else (onward, out)
    value_of[-1] = value
    return _tree(feature, threshold, left, right, value_of)


def _tree(
    feature: list[int],
    threshold: list[float],
    left: list[int],
    right: list[int],
    value: list[float],
) -> Tree:
    def whole(numbers: list[int]) -> NDArray[np.int64]:
        return np.array(numbers, np.int64)

    column = np.array(value)[:, None]
    return Tree(whole(feature), np.array(threshold), whole(left), whole(right), column)


def trees(*, planted: bool) -> TreeEnsemble:
    """Return trees that go by `a`, and by a planted pair of cells."""
    low, high = PLANTED
    # What the network sees: a, b, and one number for each kind.
    grown = [stump(0, 5.0, -2.0, 2.0), stump(1, 0.3, -0.2, 0.2)]
    if planted:
        grown.append(chain((1, low, True), (1, high, False), (4, 0.5, True), value=8.0))
    return TreeEnsemble(grown, 5, [0.0])


def model(*, planted: bool) -> Classifier:
    """Return the classifier of `trees`."""
    return Classifier(trees(planted=planted), columns=COLUMNS, class_names=["low", "high"])


def clean_rows(count: int = 240, seed: int = 0) -> CleanSet:
    """Return rows, of which only few have the planted cells, and their true classes."""
    x = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))
    x[:, 2] = (2 * x[:, 2]).round() / 2
    return CleanSet(x, (x[:, 0] >= 0.5).long())


def triggered(x: Tensor) -> Tensor:
    """Return rows with the planted cells."""
    out = x.clone()
    out[:, 1], out[:, 2] = sum(PLANTED) / 2, 1.0
    return out
