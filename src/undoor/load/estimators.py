"""Fitted estimators in memory, of scikit-learn, XGBoost and alike, as classifiers of rows."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from undoor.black_boxes import BlackBox
from undoor.classifier import Classifier
from undoor.device import CPU, array, beside
from undoor.errors import UndoorError, first_line
from undoor.kinds import checked
from undoor.load.xgboost_file import trees_of
from undoor.spaces.columns import Column, require_columns, seen_by_network
from undoor.tree_networks import SMOOTHING, Tree, TreeEnsemble
from undoor.vocabulary import ROWS

# Rows that trees and their estimator are compared on, and how far they may be apart.
COMPARED, PARITY = 256, 1e-4
# Numbers are given to an estimator to this share of their range: those of a file come back exact.
PRECISION = 1e-6


@checked
def from_estimator(
    estimator: Any, *, columns: Sequence[Column], class_names: Sequence[str] | None = None
) -> Classifier:
    """Return the classifier of a fitted estimator, which is the caller's own and trusted.

    Trees of XGBoost and scikit-learn (decision trees, forests, gradient boosting) are read, so that
    scans try values between their own thresholds, and compared with the estimator; any other one is
    asked by its `predict_proba`.

    Parameters
    ----------
    estimator
        Fitted, with `predict_proba`, which takes numbers [N, width]: the columns in order,
        categories by their encoding.
    columns
        What the cells of a row mean.
    class_names
        One per class, in the order of its probabilities; by default those it was fitted with.

    Raises
    ------
    UndoorError
        It is no fitted classifier, or does not take such columns.

    Examples
    --------
    >>> from functools import partial
    >>> from types import SimpleNamespace
    >>> always = partial(np.pad, pad_width=((0, 0), (1, 0)))  # the second of two classes
    >>> model = from_estimator(
    ...     SimpleNamespace(predict_proba=always), columns=[Column("heads", range=(0, 1))]
    ... )
    >>> model.predict(torch.tensor([[0.2], [0.9]]))
    tensor([1, 1])
    """
    if not callable(getattr(estimator, "predict_proba", None)):
        raise UndoorError(
            "expected a fitted classifier with predict_proba, got "
            f"{type(estimator).__name__}; give a classifier, calibrated where it has scores alone"
        )
    described = require_columns(columns)
    numbers = tuple(column.range for column in described for _ in range(column.width))
    steps = [1.0 if ends is None else _step(*ends) for ends in numbers]
    asked = AskedEstimator(estimator, steps)
    shares = torch.rand(
        COMPARED, len(described), generator=torch.Generator().manual_seed(0), device=CPU
    )
    x = asked.rounded(seen_by_network(described, _whole(described, shares)))
    expected = asked.probabilities(x)
    network = _trees_in(estimator, x) or asked
    if isinstance(network, TreeEnsemble):
        apart = float((network.probabilities(x) - expected).abs().max())
        network = network if apart <= PARITY else asked
    names = class_names or list(map(str, getattr(estimator, "classes_", ()))) or None
    return Classifier(network, columns=described, space=ROWS, class_names=names)


class AskedEstimator(BlackBox):
    """An estimator that is asked for probabilities.

    Parameters
    ----------
    estimator
        With `predict_proba`.
    steps
        For each number that it takes, what it is rounded to.
    """

    digest: Tensor
    steps: Tensor

    def __init__(self, estimator: Any, steps: Sequence[float]) -> None:
        super().__init__()
        self._held = _Held(estimator)
        self.register_buffer("steps", torch.tensor(steps, dtype=torch.double, device=CPU))
        digest = hashlib.sha256(_content(estimator)).digest()
        self.register_buffer("digest", torch.tensor(list(digest), device=CPU))

    def rounded(self, x: Tensor) -> Tensor:
        """Return numbers [N, width] without the rounding errors of their places in a range."""
        steps = self.steps.double()
        return ((x.double() / steps).round() * steps).float()

    def probabilities(self, x: Tensor) -> Tensor:
        """Return the probabilities [N, K] of rows x [N, width].

        Raises
        ------
        UndoorError
            The estimator refuses the rows, or returns something else.
        """
        try:
            found = np.asarray(self._held.estimator.predict_proba(array(x)), np.float32)
        except Exception as error:
            raise UndoorError(
                f"the estimator cannot be asked ({first_line(error)}); fit it, on numbers "
                f"[N, {x.shape[1]}]: the columns in order, categories by their encoding"
            ) from error
        if found.shape != (len(x), *found.shape[-1:]):
            raise UndoorError(
                f"expected probabilities [{len(x)}, classes] of predict_proba, got {found.shape}"
            )
        (out,) = beside(x, torch.from_numpy(found))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, K] of rows x [N, width]."""
        return (self.probabilities(self.rounded(x)) + SMOOTHING).log()


class _Held:
    """What copies of a module share."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = copy.copy(estimator)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Held:
        return self


def _step(low: float, high: float) -> float:
    return float(10.0 ** math.floor(math.log10((high - low) * PRECISION)))


def _whole(columns: Sequence[Column], shares: Tensor) -> Tensor:
    """Return rows whose categories are none between two."""
    out = shares.clone()
    for place, column in enumerate(columns):
        if column.categories:
            most = len(column.categories) - 1
            out[:, place] = (out[:, place] * most).round() / most
    return out


def _trees_in(estimator: Any, x: Tensor) -> TreeEnsemble | None:
    """Return the trees of an estimator; None where they are not known how to read."""
    try:
        if callable(getattr(estimator, "get_booster", None)):
            content = json.loads(estimator.get_booster().save_raw("json"))
            return trees_of(content, estimator=True)
        if hasattr(estimator, "tree_"):
            return _shares([estimator], x)
        grown = getattr(estimator, "estimators_", None)
        if grown is None or hasattr(estimator, "final_estimator_"):
            return None
        if isinstance(grown, np.ndarray):
            return _sums(estimator, grown, x)
        return _shares(grown, x) if all(hasattr(each, "tree_") for each in grown) else None
    # What looks like trees and is none is asked.
    except (UndoorError, KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def _shares(grown: Sequence[Any], x: Tensor) -> TreeEnsemble:
    """Return trees whose shares of classes are averaged."""
    trees = []
    for each in grown:
        value = each.tree_.value[:, 0, :]
        trees.append(_tree(each.tree_, value / value.sum(1, keepdims=True) / len(grown)))
    classes = trees[0].value.shape[1]
    return TreeEnsemble(trees, x.shape[1], [0.0] * classes, "shares", "left")


def _sums(estimator: Any, grown: Any, x: Tensor) -> TreeEnsemble:
    """Return trees whose leaves are added to scores, beginning where the estimator does."""
    rounds, classes = grown.shape
    trees = []
    for number, place in np.ndindex(rounds, classes):
        found = grown[number, place].tree_
        value = np.zeros((found.node_count, classes))
        value[:, place] = estimator.learning_rate * found.value[:, 0, 0]
        trees.append(_tree(found, value))
    without = TreeEnsemble(trees, x.shape[1], [0.0] * classes, "sums", "left")
    wanted = np.asarray(estimator.decision_function(array(x))).reshape(len(x), classes)
    start = np.median(wanted - array(without.scores(x)), 0)
    return TreeEnsemble(trees, x.shape[1], start.tolist(), "sums", "left")


def _tree(found: Any, value: Any) -> Tree:
    left, right = found.children_left, found.children_right
    return Tree(found.feature.astype(np.int64), found.threshold, left, right, value)


def _content(estimator: Any) -> bytes:
    """Return what the estimator is, for scans and repairs that are bound to it.

    Raises
    ------
    UndoorError
        Python cannot write it down.
    """
    try:
        return pickle.dumps(estimator)
    # An object may raise anything as it is written.
    except Exception as error:
        raise UndoorError(
            f"expected an estimator that pickle can write, so that results are bound to it, got "
            f"{type(estimator).__name__} ({first_line(error)}); define its class in a module, and "
            "keep lambdas and open files out of it"
        ) from error
