"""Trees as a module: where rows go, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch

from helpers.planted_trees import chain, stump, trees
from undoor.errors import UndoorError
from undoor.tree_networks import SMOOTHING, Tree, TreeEnsemble


@pytest.mark.parametrize(("at", "expected"), [("right", [-1, 1, 1]), ("left", [-1, -1, 1])])
def test_numbers_at_the_threshold(at: Literal["right", "left"], expected: list[float]) -> None:
    """XGBoost and scikit-learn differ there, and cells come with errors of rounding."""
    made = TreeEnsemble([stump(0, 41.0, -1.0, 1.0)], 1, [0.0], at_threshold=at)
    share = torch.tensor([[23 / 73], [24 / 73], [25 / 73]])
    x = 17 + 73 * share  # 40, 41 and 42, but for rounding.
    assert made.scores(x)[:, 0].tolist() == expected


def test_all_steps_of_a_chain() -> None:
    made = TreeEnsemble([chain((0, 0.5, True), (1, 0.5, False), value=3.0)], 2, [0.25])
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert made.depth == 2
    assert made.scores(x)[:, 0].tolist() == [0.25, 0.25, 3.25, 0.25]
    assert made(x).softmax(1)[2, 1].item() == pytest.approx(1 / (1 + np.exp(-3.25)))


def test_shares_are_smoothed_alone() -> None:
    value = np.array([[0, 0], [1.0, 0.0], [0.25, 0.75]])
    tree = replace(stump(0, 0.5, 0, 0), value=value)
    made = TreeEnsemble([tree], 1, [0.0, 0.0], "shares")
    x = torch.tensor([[0.0], [1.0]])
    assert made.probabilities(x).tolist() == [[1.0, 0.0], [0.25, 0.75]]
    assert torch.allclose(made(x).exp(), made.probabilities(x) + SMOOTHING)


def test_thresholds_as_often_as_they_are_used() -> None:
    made = trees(planted=True)
    assert made.thresholds(0).tolist() == pytest.approx([5.0], rel=1e-5)
    assert made.thresholds(1).tolist() == pytest.approx([0.3, 0.62, 0.64], rel=1e-5)
    assert made.thresholds(2).tolist() == []


GOOD = stump(0, 0.5, -1.0, 1.0)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (replace(GOOD, feature=np.array([7, 0, 0])), "nodes beyond"),
        (replace(GOOD, left=np.array([9, -1, -1])), "nodes beyond"),
        (replace(GOOD, left=np.array([0, -1, -1])), "deeper"),
        (replace(GOOD, right=np.array([-1, -1, -1])), "two branches"),
        (replace(GOOD, threshold=np.array([np.nan, 0, 0])), "finite"),
        (replace(GOOD, value=np.array([[0], [np.inf], [0]])), "finite"),
    ],
)
def test_what_is_no_tree(tree: Tree, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        TreeEnsemble([tree], 1, [0.0])


def test_rows_of_another_width() -> None:
    with pytest.raises(UndoorError, match="expected 5 numbers of a row"):
        trees(planted=False)(torch.zeros(2, 3))


def test_no_tree_at_all() -> None:
    with pytest.raises(UndoorError, match="expected 1 to"):
        TreeEnsemble([], 1, [0.0])
