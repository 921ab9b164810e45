"""What a model takes and what its answers are called."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from undoor.classifier import Classifier
from undoor.contract import Contract


def test_round_trip(make_classifier: Callable[..., Classifier]) -> None:
    made = Contract.of(make_classifier(bounds=(-1, 255), class_names=["a", "b", "ü"]))
    assert made == Contract((3, 4, 4), (-1.0, 255.0), ("a", "b", "ü"))
    assert Contract.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    "change",
    [
        {"input_shape": []},
        {"input_shape": [3, 0]},
        {"input_shape": 3},
        {"bounds": [1, 1]},
        {"bounds": [0]},
        {"bounds": [0, float("inf")]},
        {"bounds": [float("nan"), 1]},
        {"class_names": None},
    ],
)
def test_strange(classifier: Classifier, change: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Contract.from_json({**Contract.of(classifier).to_json(), **change})
