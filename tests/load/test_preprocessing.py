"""The preprocessing that a model brings, and what the user says instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from undoor.errors import UndoorError
from undoor.load.preprocessing import Preprocessing, classifier_of, resized
from undoor.resizing import Resizing

PREPROCESSING = Preprocessing(
    (3, 4, 4), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2), Resizing((4, 4), 6, "bicubic")
)


def make(**given: Any) -> Any:
    torch.manual_seed(0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    names = given.pop("names", None)
    options = {"input": given, "classes": {"names": names}}
    return classifier_of(network, PREPROCESSING, options, source=Path("m"), class_names=["a", "b"])


def test_contract_as_it_stands() -> None:
    classifier = make(shape=None)
    assert classifier.resizing == PREPROCESSING.resizing
    assert classifier.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert classifier.class_names == ("a", "b")


def test_another_size_is_reached_straight() -> None:
    assert make(shape=[3, 8, 6]).resizing == Resizing((8, 6), resample="bicubic")
    assert make(shape=[3, 4, 4]).resizing == PREPROCESSING.resizing
    assert resized(PREPROCESSING, [7]) == PREPROCESSING


def test_other_bounds_mean_the_same_pictures() -> None:
    x = torch.rand(2, 3, 4, 4)
    assert torch.allclose(make(bounds=(0, 255))(255 * x), make()(x), atol=1e-5)
    with pytest.raises(UndoorError, match=r"bounds are -1 to 1; give scale, mean and std too"):
        make(bounds=(-1, 1))
    stated = make(bounds=(-1, 1), scale=0.5, mean=[0.0, -0.1, -0.2], std=[0.2])
    assert torch.allclose(stated(2 * x - 1), make()(x), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shape": "big"}, r"^m: \[input\] shape"),
        ({"mean": [1.0, 2.0]}, r"mean must have one value or one for each of the 3"),
        ({"bounds": (0,)}, r"\[input\] bounds"),
        ({"names": ["a"]}, r"1 class names were given for a model with 2"),
        ({"meen": 1}, r"unknown key 'meen' in \[input\]; did you mean 'mean'"),
    ],
)
def test_options_that_do_not_fit(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        make(**given)
