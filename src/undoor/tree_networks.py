"""Ensembles of decision trees, as a module: the same answers as the library that grew them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.black_boxes import BlackBox
from undoor.device import CPU
from undoor.errors import UndoorError

Link = Literal["sums", "shares"]
# What is added to shares before their logarithm: a class without a vote keeps a finite score.
SMOOTHING = 0.01
# A number this close to a threshold, as a share of the largest one of its column, counts as it:
# cells come from their places in a range, with a rounding error of float32.
ROUNDING = 4 * float(np.finfo(np.float32).eps)
DEEPEST = 128
MAX_NODES = 20_000_000
# Numbers of a row, and what all leaves add to all classes: what is reserved for them is what a file
# says, however short it is.
MAX_WIDTH, MAX_VALUES = 100_000, 100_000_000
# Larger ones are not finite in float32, once they are added up.
MAX_NUMBER = 1e37


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree of n nodes, the root first.

    Attributes
    ----------
    feature
        [n], which number each node looks at; of a leaf anything.
    threshold
        [n], below which it goes to the left.
    left, right
        [n], the next nodes; of a leaf both are negative.
    value
        [n, K], what a leaf adds to the scores.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]


class TreeEnsemble(BlackBox):
    """Trees whose leaves are added up.

    Parameters
    ----------
    trees
        At least one.
    width
        How many numbers they take.
    start
        [K], the scores before any tree.
    link
        "sums" are scores, one of them that of class 1 of two; "shares" are probabilities.
    at_threshold
        Where a number goes that is the threshold: "right", as in XGBoost, or "left", as in
        scikit-learn.

    Raises
    ------
    UndoorError
        The trees do not fit together, or do not end.
    """

    feature: Tensor
    threshold: Tensor
    child: Tensor
    value: Tensor
    roots: Tensor
    start: Tensor

    def __init__(
        self,
        trees: Sequence[Tree],
        width: int,
        start: Sequence[float],
        link: Link = "sums",
        at_threshold: Literal["right", "left"] = "right",
    ) -> None:
        super().__init__()
        self.width, self.link = width, link
        sizes = [len(tree.feature) for tree in trees]
        require_size(sum(sizes), width, len(start))
        _require_finite([*(t.threshold for t in trees), *(t.value for t in trees), np.array(start)])
        offsets = np.cumsum([0, *sizes[:-1]])
        self.depth = max(_depth(tree, width, len(start)) for tree in trees)
        feature = np.concatenate([np.where(t.left < 0, 0, t.feature) for t in trees])
        threshold = np.concatenate([np.where(t.left < 0, 0.0, t.threshold) for t in trees])
        leaf = np.concatenate([tree.left < 0 for tree in trees])
        self.register_buffer("feature", torch.as_tensor(feature, device=CPU))
        moved = _moved(feature, threshold, leaf, width, -1 if at_threshold == "right" else 1)
        self.register_buffer("threshold", torch.as_tensor(moved.astype(np.float32), device=CPU))
        pairs = [_children(tree) + offset for tree, offset in zip(trees, offsets, strict=True)]
        self.register_buffer(
            "child", torch.as_tensor(np.concatenate(pairs).reshape(-1), device=CPU)
        )
        value = np.concatenate([tree.value for tree in trees]).astype(np.float32)
        self.register_buffer("value", torch.as_tensor(value * leaf[:, None], device=CPU))
        self.register_buffer("leaf", torch.as_tensor(leaf, device=CPU))
        self.register_buffer("roots", torch.as_tensor(offsets, device=CPU))
        self.register_buffer("start", torch.tensor(list(start), dtype=torch.float32, device=CPU))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, K] of rows x [N, width].

        Raises
        ------
        UndoorError
            Rows have another number of columns.
        """
        scores = self.scores(x)
        if self.link == "shares":
            return (scores.clamp_min(0) + SMOOTHING).log()
        return torch.cat([-scores / 2, scores / 2], 1) if scores.shape[1] == 1 else scores

    def probabilities(self, x: Tensor) -> Tensor:
        """Return the probabilities [N, K] of rows x [N, width], those of shares not smoothed."""
        if self.link == "shares":
            return self.scores(x)
        odds: Tensor = self(x).double().exp()
        return (odds / odds.sum(1, keepdim=True)).float()

    def scores(self, x: Tensor) -> Tensor:
        """Return the sums of leaves [N, K] of rows x [N, width]; [N, 1] of two classes."""
        if x.shape[1] != self.width:
            raise UndoorError(
                f"expected {self.width} numbers of a row, as the trees were grown on, got "
                f"{x.shape[1]}; describe the columns as they were then, categories with their "
                "encoding"
            )
        node = self.roots.expand(len(x), -1)
        for _ in range(self.depth):
            right = x.gather(1, self.feature[node]) >= self.threshold[node]
            node = self.child[2 * node + right]
        return self.value[node].sum(1) + self.start

    def rows_between(self, count: int) -> Tensor:
        """Return rows [count, width] whose numbers lie between thresholds, always the same."""
        drawn = torch.Generator().manual_seed(0)
        out = torch.zeros(count, self.width, device=CPU)
        for place in range(self.width):
            edges = self.thresholds(place).unique()
            if len(edges):
                ends = torch.cat([edges[:1] - 1, edges, edges[-1:] + 1])
                wide = ends.diff() > 4 * ROUNDING * ends.abs().max()
                middles = ((ends[:-1] + ends[1:]) / 2)[wide]
                out[:, place] = middles[
                    torch.randint(len(middles), (count,), generator=drawn, device=CPU)
                ]
        return out

    def thresholds(self, place: int) -> Tensor:
        """Return the thresholds of a number, sorted, one as often as it is used."""
        return self.threshold[(self.feature == place) & ~self._leaves].sort().values

    @property
    def _leaves(self) -> Tensor:
        leaves: Any = self.leaf
        found: Tensor = leaves
        return found


def require_size(nodes: int, width: int, classes: int) -> None:
    """Refuse trees that would not fit into memory, before any is reserved.

    Parameters
    ----------
    nodes
        Of all trees.
    width
        How many numbers they take.
    classes
        Scores of each leaf.

    Raises
    ------
    UndoorError
        There are too many, or none.
    """
    if not 0 < nodes <= MAX_NODES:
        raise UndoorError(
            f"expected 1 to {MAX_NODES:,} nodes of trees, got {nodes:,}; give a smaller model"
        )
    if not (0 < width <= MAX_WIDTH and 0 < nodes * classes <= MAX_VALUES):
        raise UndoorError(
            f"expected trees of 1 to {MAX_WIDTH:,} numbers, and at most {MAX_VALUES:,} nodes times "
            f"classes, got {width:,} numbers and {nodes:,} nodes of {classes:,} classes; give a "
            "smaller model, or copy it again"
        )


def _require_finite(numbers: Sequence[NDArray[np.float64]]) -> None:
    # NaN is not below anything.
    if not all(bool(np.all(np.abs(each) < MAX_NUMBER)) for each in numbers):
        raise UndoorError("expected trees of finite numbers, got NaN or infinity; train anew")


def _children(tree: Tree) -> NDArray[np.int64]:
    """Return the nodes [n, 2] that come after each; a leaf comes after itself."""
    own = np.arange(len(tree.left))
    next_ones = [np.where(tree.left < 0, own, side) for side in (tree.left, tree.right)]
    return np.stack(next_ones, 1).astype(np.int64)


def _moved(
    feature: NDArray[np.int64],
    threshold: NDArray[np.float64],
    leaf: NDArray[np.bool_],
    width: int,
    sign: int,
) -> NDArray[np.float64]:
    """Return thresholds moved by the rounding of their column, to where equal numbers belong."""
    largest = np.zeros(width)
    np.maximum.at(largest, feature[~leaf], np.abs(threshold[~leaf]))
    return threshold + sign * ROUNDING * np.maximum(largest, np.finfo(np.float32).tiny)[feature]


def _depth(tree: Tree, width: int, classes: int) -> int:
    """Return how many steps lead to the deepest leaf.

    Raises
    ------
    UndoorError
        The nodes are no tree, or look at numbers that there are not.
    """
    inner = tree.left >= 0
    if tree.value.shape != (len(tree.left), classes) or np.any(inner != (tree.right >= 0)):
        raise UndoorError("expected trees with two branches at each node, got others; train anew")
    out = (tree.feature[inner] < 0) | (tree.feature[inner] >= width)
    if np.any(out) or np.any(np.maximum(tree.left, tree.right) >= len(tree.left)):
        raise UndoorError(f"expected trees of {width} numbers, got nodes beyond; copy it again")
    level, depth = np.zeros(1, np.int64), 0
    while len(level := level[inner[level]]):
        level, depth = np.concatenate([tree.left[level], tree.right[level]]), depth + 1
        if depth > DEEPEST or len(level) > len(tree.left):
            raise UndoorError(f"expected trees of a depth up to {DEEPEST}, got deeper ones")
    return depth
