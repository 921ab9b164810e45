"""Estimators in memory: trees that are read, and any other one that is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import undoor
from undoor.errors import UndoorError
from undoor.load.estimators import AskedEstimator
from undoor.spaces.columns import Column
from undoor.tree_networks import TreeEnsemble

COLUMNS = (Column("age", range=(17, 90)), Column("kind", categories=("x", "y", "z")))


class Above:
    """Class 1 from an age on, to which it is exact; as a pipeline, it has no trees to show."""

    classes_ = np.array(["young", "old"])

    def __init__(self, age: float = 41.0) -> None:
        self.age = age

    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        old = (x[:, 0] >= self.age).astype(np.float64)
        return np.stack([1 - old, old], 1)


class Grown:
    """One tree in the attributes of scikit-learn's, which goes left at the threshold."""

    classes_ = np.array([0, 1])

    def __init__(self, threshold: float = 41.0) -> None:
        self.tree_ = SimpleNamespace(
            feature=np.array([0, -2, -2]),
            threshold=np.array([threshold, -2, -2]),
            children_left=np.array([1, -1, -1]),
            children_right=np.array([2, -1, -1]),
            value=np.array([[[0.5, 0.5]], [[3.0, 1.0]], [[0.0, 2.0]]]),
        )

    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        shares = self.tree_.value[:, 0] / self.tree_.value[:, 0].sum(1, keepdims=True)
        found: NDArray[np.float64] = shares[np.where(x[:, 0] <= self.tree_.threshold[0], 1, 2)]
        return found


class Lying(Grown):
    """Trees that are not what answers."""

    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        return 1 - super().predict_proba(x)


def ages(*years: float) -> torch.Tensor:
    return torch.tensor([[(year - 17) / 73, 0.5] for year in years])


def test_any_estimator_is_asked() -> None:
    model = undoor.from_estimator(Above(), columns=COLUMNS)
    assert isinstance(model.network, AskedEstimator)
    assert model.class_names == ("young", "old")
    # The age of a file, whose place in the range is rounded.
    assert model.predict(ages(40, 41, 42)).tolist() == [0, 1, 1]


def test_trees_are_read() -> None:
    model = undoor.from_estimator(Grown(), columns=COLUMNS)
    assert isinstance(model.network, TreeEnsemble)
    assert model.network.thresholds(0).tolist() == pytest.approx([41.0], rel=1e-5)
    assert model.predict(ages(40, 41, 42)).tolist() == [0, 0, 1]


def test_trees_that_answer_otherwise_are_asked() -> None:
    model = undoor.from_estimator(Lying(), columns=COLUMNS)
    assert isinstance(model.network, AskedEstimator)
    assert model.predict(ages(40, 42)).tolist() == [1, 0]


def test_scans_and_repairs_are_bound_to_the_estimator() -> None:
    first, again, other = (
        undoor.from_estimator(Above(age), columns=COLUMNS) for age in (41, 41, 42)
    )
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


class Scores:
    def decision_function(self, x: Any) -> Any:
        return x[:, 0]


class Refusing(Above):
    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        raise ValueError(f"X has {x.shape[1]} features, but 9 are expected")


class Flat(Above):
    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.zeros(len(x))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Scores(), "expected a fitted classifier with predict_proba, got Scores"),
        (Refusing(), "cannot be asked .* features, but 9 are expected"),
        (Flat(), r"expected probabilities \[256, classes\]"),
    ],
)
def test_what_is_no_classifier(estimator: Any, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        undoor.from_estimator(estimator, columns=COLUMNS)


def test_what_cannot_be_written_down_is_refused_in_one_line() -> None:
    class Local:
        def predict_proba(self, x: Any) -> Any:
            return np.stack([x[:, 0], 1 - x[:, 0]], 1)

    with pytest.raises(UndoorError, match="expected an estimator that pickle can write"):
        undoor.from_estimator(Local(), columns=[Column("heads", range=(0, 1))])
