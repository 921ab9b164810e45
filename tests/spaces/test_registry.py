"""Which space inputs are of."""

from __future__ import annotations

import pytest
from torch import nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.spaces.images import IMAGES
from undoor.spaces.registry import REGISTRY, space_for, space_named, space_of, spaces
from undoor.spaces.signals import SIGNALS
from undoor.spaces.vectors import VECTORS


def test_by_shape() -> None:
    assert space_of((3, 32, 32)) is IMAGES
    assert space_of((8,)) is VECTORS
    assert space_of((2, 8)) is SIGNALS
    # What nobody knows is a row of numbers.
    assert space_of((8, 2)) is space_of((2, 3, 4, 5)) is VECTORS


def test_by_name() -> None:
    assert spaces() == REGISTRY
    assert space_named("images") is space_for((1, 2, 2), "images") is IMAGES
    assert space_for((8, 2), "vectors") is VECTORS
    with pytest.raises(
        UndoorError,
        match=r"expected a space .*\(images, vectors, rows, signals, tokens, points\), got 'tea'",
    ):
        space_named("tea")
    with pytest.raises(UndoorError, match=r"of the space 'images', got .* is 'vectors'"):
        space_for((8,), "images")


def test_a_classifier_has_one() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    assert Classifier(network, input_shape=(3, 2, 2)).space is IMAGES
    assert Classifier(network, input_shape=(12,)).space is VECTORS
    assert Classifier(network, input_shape=(12,), space="vectors").space is VECTORS
    with pytest.raises(UndoorError, match="expected a shape of the space 'vectors'"):
        Classifier(network, input_shape=(3, 2, 2), space="vectors")


def test_what_goes_without_saying_changes_no_hash() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    told = Classifier(network, input_shape=(12,), space="vectors", task="single label")
    assert told.fingerprint() == Classifier(network, input_shape=(12,)).fingerprint()
