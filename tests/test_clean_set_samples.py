"""Samples one by one: what is taken for an image, and for a label."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from pictures import encoded, picture

from undoor.clean_set import CleanSet
from undoor.errors import UndoorError

GREY = np.full((4, 4), 7, np.uint8)


@pytest.mark.parametrize(
    ("image", "channels"),
    [
        (GREY, 1),
        (GREY[..., None].repeat(3, 2), 3),
        (torch.full((3, 4, 4), 7, dtype=torch.uint8), 3),
        (picture(7), 3),
        (picture(7, "RGBA"), 3),
        (encoded(7), 3),
    ],
)
def test_images(image: object, channels: int) -> None:
    clean = CleanSet.from_iterable([(image, 0), (image, 1)])
    assert clean.images.shape[1] == channels
    assert (clean.images * 255).round().unique().tolist() == [7]
    assert clean.from_bytes


@pytest.mark.parametrize("label", [1, np.int64(1), np.array(1), np.array([1]), torch.tensor(1)])
def test_labels(label: object) -> None:
    assert CleanSet.from_iterable([(GREY, label)]).labels.tolist() == [1]


def test_what_is_none_is_skipped() -> None:
    samples = [(GREY, 0), (None, 0), (GREY, None), (GREY, 1.5), (GREY, True), (b"x", 0)]
    clean = CleanSet.from_iterable(samples)
    assert len(clean) == 1
    told = [reason.split(":")[0] for reason in clean.skipped]
    assert told == [f"sample {k}" for k in range(1, 6)]


def test_floats_are_refused_whole() -> None:
    with pytest.raises(UndoorError, match=r"sample 0 is float32.*from_arrays"):
        CleanSet.from_iterable([(np.zeros((4, 4), np.float32), 0)])


def test_a_torch_data_set() -> None:
    data = torch.utils.data.TensorDataset(
        torch.zeros(3, 3, 4, 4, dtype=torch.uint8), torch.tensor([2, 0, 1])
    )
    assert CleanSet.from_iterable(data).labels.tolist() == [2, 0, 1]


def test_only_what_the_model_takes_is_kept_in_memory() -> None:
    side, count = 600, 40

    def large() -> Iterator[tuple[object, object]]:
        for index in range(count):
            yield np.full((side, side, 3), index, np.uint8), index % 2

    tracemalloc.start()
    clean = CleanSet.from_iterable(large(), size=(8, 8))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(clean) == count
    # Of forty images of a megabyte each, no more than a few at a time.
    assert peak < 8 * side * side * 3
