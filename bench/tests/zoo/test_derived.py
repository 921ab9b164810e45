"""Data sets that are made of others."""

from __future__ import annotations

import numpy as np
import pytest

from undoor.errors import UndoorError
from undoor_bench.zoo.derived import FORMS, derivation, root

X = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4)
Y = np.array([0, 1, 2, 3, 4, 3])


def derived(name: str) -> list[int]:
    """The labels that a name makes of `Y`."""
    found = derivation(name)
    assert found is not None
    return found[1](X, Y)[1].tolist()


@pytest.mark.parametrize(
    ("name", "base", "labels"),
    [
        ("mnist_classes_0_3_4", "mnist", [0, 1, 2, 1]),
        ("mnist_classes_3_0", "mnist", [1, 0, 0]),
        ("mnist_classes_0-2_4", "mnist", [0, 1, 2, 3]),
        ("mnist_background_4", "mnist", [1, 1, 1, 1, 0, 1]),
        ("a_b_mark_2", "a_b", Y.tolist()),
        ("mnist_pairs_classes_0-1", "mnist_pairs", [0, 1]),
        ("mnist_classes_0_1_pairs", "mnist_classes_0_1", None),
    ],
)
def test_names(name: str, base: str, labels: list[int] | None) -> None:
    found = derivation(name)
    assert found is not None
    assert found[0] == base
    assert labels is None or derived(name) == labels


@pytest.mark.parametrize(
    "name", ["mnist", "imagenet", "mnist_classes", "mnist_classes_", "mnist_cast_x", "_pairs"]
)
def test_names_of_files(name: str) -> None:
    assert derivation(name) is None
    assert root(name) == name


@pytest.mark.parametrize("classes", ["_1_1", "_0-3_2", "_5-3"])
def test_classes_are_different(classes: str) -> None:
    with pytest.raises(UndoorError, match=f"expected different classes, .* got {classes}"):
        derivation(f"mnist_classes{classes}")


def test_every_form_that_messages_name_is_one() -> None:
    assert all(derivation(form) for form in FORMS)
    assert root("gtsrb_mark_3_classes_0-9_background_1") == "gtsrb"
