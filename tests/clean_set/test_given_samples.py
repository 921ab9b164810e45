"""Clean samples given in Python without a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet, given
from undoor.errors import UndoorError

MakeClassifier = Callable[..., Classifier]


def labels(count: int) -> torch.Tensor:
    return torch.arange(count) % 3


@pytest.mark.parametrize("kind", [torch.Tensor, np.ndarray])
def test_a_pair_is_a_clean_set(kind: type, classifier: Classifier) -> None:
    x, y = torch.rand(9, 3, 4, 4), labels(9)
    pair = (x, y) if kind is torch.Tensor else (x.numpy(), y.numpy())
    found = given(pair, classifier)
    assert torch.equal(found.images, x)
    assert torch.equal(found.labels, y)


def test_bytes_with_their_channels_last_are_mapped_to_the_bounds(classifier: Classifier) -> None:
    x = np.full((9, 4, 4, 3), 51, np.uint8)
    assert torch.allclose(given((x, labels(9)), classifier).images, torch.tensor(0.2))


def test_rows_of_a_table_are_taken_as_they_are(make_classifier: MakeClassifier) -> None:
    classifier = make_classifier(input_shape=(7,))
    x = torch.rand(9, 7)
    assert torch.equal(given((x.numpy(), list(labels(9))), classifier).images, x)


def test_a_set_that_was_read_is_checked(classifier: Classifier) -> None:
    clean = CleanSet(torch.rand(9, 3, 4, 4), labels(9))
    assert torch.equal(given(clean, classifier).images, clean.images)
    with pytest.raises(UndoorError, match="images of at least 2 classes"):
        given(CleanSet(torch.rand(1, 3, 4, 4), labels(1)), classifier)


@pytest.mark.parametrize(
    "nonsense",
    [None, "folder", 3, (), (1, 2), ("x", "y"), (torch.rand(9, 3, 4, 4),), torch.rand(9, 3, 4, 4)],
)
def test_nonsense_is_refused_with_what_to_do(nonsense: Any, classifier: Classifier) -> None:
    with pytest.raises(UndoorError, match="expected"):
        given(nonsense, classifier)


@pytest.mark.parametrize("y", [labels(8), torch.rand(9), ["a"] * 9])
def test_labels_that_do_not_fit_are_refused(y: Any, classifier: Classifier) -> None:
    with pytest.raises(UndoorError):
        given((torch.rand(9, 3, 4, 4), y), classifier)
