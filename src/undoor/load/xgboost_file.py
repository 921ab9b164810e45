"""Gradient-boosted trees in files of XGBoost, JSON or its binary form; nothing of them is run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from undoor.errors import UndoorError
from undoor.load.graph import Graph
from undoor.load.regular import open_regular
from undoor.load.ubjson import read_ubjson
from undoor.tree_networks import Tree, TreeEnsemble, require_size

LARGEST = 2**29
# Objectives whose sums of leaves are scores of classes.
TWO_CLASSES = frozenset({"binary:logistic", "binary:logitraw", "reg:logistic"})
MANY_CLASSES = frozenset({"multi:softprob", "multi:softmax"})
BOOSTERS = ("gbtree", "dart")
AGAIN = "save it with model.save_model('model.json')"


def read(path: Path) -> Graph:
    """Return the trees of a file.

    Raises
    ------
    UndoorError
        It is damaged, or holds another model than trees that classify.
    """
    with open_regular(path) as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise UndoorError(f"{path} has more than {LARGEST:,} bytes; give a smaller model")
    try:
        content = read_ubjson(data) if data[1:2] == b"L" else json.loads(data)
        names = tuple(map(str, content["learner"].get("feature_names", ())))
        return Graph(trees_of(content), None, names=names)
    except UndoorError as error:
        raise UndoorError(f"{path}: {error}") from None
    except (
        ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError,
        RecursionError,
    ) as error:  # fmt: skip
        raise UndoorError(
            f"{path} is no readable model of XGBoost ({type(error).__name__}: {error!s:.80}); "
            f"copy it again, or {AGAIN}"
        ) from None


def trees_of(content: Mapping[str, Any], *, estimator: bool = False) -> TreeEnsemble:
    """Return the trees of a model as XGBoost's JSON has it.

    Parameters
    ----------
    content
        What `save_model` writes.
    estimator
        It is of an `XGBClassifier`, even if that is not written down: after early stopping this
        one asks the trees up to the best round alone, where a `Booster` asks all.

    Raises
    ------
    UndoorError
        It is another model than trees that classify, or they split by sets of categories.
    KeyError, TypeError, ValueError, IndexError
        It is no such model.
    """
    learner = content["learner"]
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]
    if objective not in TWO_CLASSES | MANY_CLASSES or booster["name"] not in BOOSTERS:
        raise UndoorError(
            "expected trees that classify (binary:logistic, multi:softprob), got a model of "
            f"XGBoost for {objective!s:.40} by {booster['name']!s:.20}; train it as a classifier"
        )
    part = booster["gbtree"] if booster["name"] == "dart" else booster
    model = part["model"]
    weights = [float(w) for w in booster.get("weight_drop", [1.0] * len(model["trees"]))]
    sizes = learner["learner_model_param"]
    classes, width = max(1, int(sizes["num_class"])), int(sizes["num_feature"])
    if (classes > 1) != (objective in MANY_CLASSES):
        raise ValueError(f"{classes} classes of {objective}")
    require_size(sum(len(tree["left_children"]) for tree in model["trees"]), width, classes)
    start = _start(str(sizes["base_score"]), classes, objective)
    groups = [int(group) for group in model["tree_info"]]
    made = [
        _tree(tree, classes, group, weight)
        for tree, group, weight in zip(model["trees"], groups, weights, strict=True)
    ]
    notes = learner.get("attributes", {})
    if (estimator or "scikit_learn" in notes) and "best_iteration" in notes:
        per_round = classes * int(model["gbtree_model_param"].get("num_parallel_tree", 1))
        made = made[: max(0, per_round * (int(notes["best_iteration"]) + 1))]
    return TreeEnsemble(made, width, start)


def _start(base: str, classes: int, objective: str) -> list[float]:
    """Return the scores [K] before any tree."""
    found = [float(number) for number in base.strip("[]").split(",")]
    if objective in ("binary:logistic", "reg:logistic"):
        found = [math.log(p / (1 - p)) for p in found]
    if len(found) not in (1, classes):
        raise ValueError(f"{len(found)} base scores of {classes} classes")
    return found if len(found) == classes else found * classes


def _tree(tree: Mapping[str, Any], classes: int, group: int, weight: float) -> Tree:
    if len(tree.get("categories_nodes", ())):
        raise UndoorError(
            "it splits by sets of categories (enable_categorical), which are not read; train it "
            "on one-hot or ordinal numbers"
        )
    if int(tree.get("tree_param", {}).get("size_leaf_vector", 1)) > 1:
        raise UndoorError(
            "its trees have a leaf for all classes at once (multi_output_tree), which are not "
            "read; train it with multi_strategy='one_output_per_tree'"
        )
    left, right = _whole(tree["left_children"]), _whole(tree["right_children"])
    conditions = np.array(tree["split_conditions"], np.float64)
    if not 0 <= group < classes or len(conditions) != len(left):
        raise ValueError("a tree of no class")
    value = np.zeros((len(left), classes))
    value[:, group] = np.where(left < 0, weight * conditions, 0)
    return Tree(_whole(tree["split_indices"]), conditions, left, right, value)


def _whole(numbers: Sequence[int]) -> Any:
    found = np.array(numbers)
    if found.dtype.kind not in "iu" or found.shape != (len(numbers),) or found.size == 0:
        raise ValueError("expected whole numbers")
    return found.astype(np.int64)
