"""Labels as DataLoaders give them: right, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from helpers.pictures import encoded
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError

IMAGES, LABELS = torch.rand(12, 3, 5, 6), torch.arange(12) % 4
ONE_HOT = torch.nn.functional.one_hot(LABELS, 4)


class Items(Dataset[Any]):
    """A data set of what a function makes of each number."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make = make

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, place: int) -> Any:
        return self.make(place)


@pytest.mark.parametrize("size", [None, 1, 3, 4, 5])
@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], ONE_HOT, ONE_HOT.bool(), ONE_HOT.float(), ONE_HOT.double()]
)
def test_columns_and_one_hot(labels: Tensor, size: int | None) -> None:
    dataset = TensorDataset(IMAGES, labels)
    for images in (IMAGES, IMAGES[:, :1], IMAGES[:, 0]):
        dataset = TensorDataset(images, labels)
        clean = CleanSet.from_iterable(DataLoader(dataset, size))
        assert clean.labels.tolist() == LABELS.tolist()
        assert torch.equal(clean.images, images.reshape(12, -1, 5, 6))


@pytest.mark.parametrize(
    "make",
    [
        lambda i: (IMAGES[i], [int(LABELS[i])]),
        lambda i: (IMAGES[i], ONE_HOT[i].tolist()),
        lambda i: (IMAGES[i], "abcd"[i % 4]),
        lambda i: {"image": IMAGES[i], "label": ONE_HOT[i]},
        lambda i: {"pixel_values": IMAGES[i], "labels": LABELS[i]},
    ],
)
@pytest.mark.parametrize("size", [4, 5])
def test_collated_lists_and_dictionaries(make: Callable[[int], Any], size: int) -> None:
    clean = CleanSet.from_iterable(DataLoader(Items(make), size))
    assert clean.labels.tolist() == LABELS.tolist()


def test_lists_of_images() -> None:
    images, labels = list(IMAGES), list(ONE_HOT.numpy())
    assert CleanSet.from_iterable([(images, labels)]).labels.tolist() == LABELS.tolist()
    picture = encoded()
    assert CleanSet.from_iterable([(picture, np.eye(3)[i]) for i in range(3)]).labels.tolist() == [
        0, 1, 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "labels",
    [ONE_HOT * 0.5, ONE_HOT + ONE_HOT.flip(1), ONE_HOT[:, :, None], LABELS.float()[:, None] + 0.5],
)
@pytest.mark.parametrize("size", [None, 3, 4, 5])
def test_what_is_no_class_is_refused(labels: Tensor, size: int | None) -> None:
    with pytest.raises(UndoorError, match=r"label"):
        CleanSet.from_iterable(DataLoader(TensorDataset(IMAGES, labels), size))


@pytest.mark.parametrize("label", [[0, 1, 0], [1, 0, 1], torch.eye(3)[1], np.zeros(3)])
def test_one_picture_or_three_is_not_guessed(label: Any) -> None:
    with pytest.raises(UndoorError, match=r"one image with a one-hot label or several grey images"):
        CleanSet.from_iterable([(torch.zeros(3, 5, 5), label)])


def test_two_readings_of_a_square_are_not_guessed() -> None:
    turned = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    with pytest.raises(UndoorError, match=r"expected one class per image"):
        CleanSet.from_iterable([(IMAGES[:3], turned)])
