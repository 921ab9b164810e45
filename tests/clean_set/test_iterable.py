"""Clean samples from anything that hands out images and labels."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from helpers.pictures import encoded, picture
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.clean_set.iterable import read_iterable
from undoor.errors import UndoorError

Make = Callable[..., Classifier]


def stream(count: int, classes: int = 2) -> Iterator[tuple[Any, int]]:
    return ((np.full((4, 4, 3), i % 256, np.uint8), i % classes) for i in range(count))


def values(clean: CleanSet) -> list[int]:
    return (clean.images[:, 0, 0, 0] * 255).round().int().tolist()


@pytest.mark.parametrize(
    "sample",
    [
        lambda v: (picture(v), v % 2),
        lambda v: (encoded(v), torch.tensor(v % 2)),
        lambda v: (torch.full((3, 4, 4), v, dtype=torch.uint8), np.int64(v % 2)),
        lambda v: (np.full((4, 4, 3), v, np.uint8), str(v % 2)),
        lambda v: {"image": picture(v), "label": v % 2},
        lambda v: {"__key__": "x", "png": encoded(v), "cls": b"%d\n" % (v % 2)},
        lambda v: [torch.full((1, 3, 4, 4), v, dtype=torch.uint8), torch.tensor([v % 2])],
        lambda v: (torch.full((3, 4, 4), v, dtype=torch.uint8), torch.tensor([v % 2])),
    ],
)
def test_samples(sample: Callable[[int], Any]) -> None:
    clean = CleanSet.from_iterable(sample(v) for v in range(6))
    assert clean.images.shape == (6, 3, 4, 4)
    assert values(clean) == [0, 1, 2, 3, 4, 5]
    assert clean.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert clean.from_bytes


def test_torch_loaders(make_classifier: Make) -> None:
    images, labels = torch.rand(10, 3, 4, 4), torch.arange(10) % 3
    dataset = TensorDataset(images, labels)
    # A `Dataset` of torch declares no `__iter__`; it is iterable by its numbers.
    loaders: tuple[Any, ...] = (
        dataset, DataLoader(dataset, batch_size=4), DataLoader(dataset, batch_size=1)
    )  # fmt: skip
    for loader in loaders:
        clean = CleanSet.from_iterable(loader)
        assert torch.equal(clean.images, images)
        assert torch.equal(clean.labels, labels)
        assert torch.equal(clean.for_classifier(make_classifier()).images, images)


def test_names(make_classifier: Make) -> None:
    pairs = [(picture(), name) for name in ("b", "a", "c")]
    clean = CleanSet.from_iterable(pairs, class_names=["c", "b", "a"])
    assert clean.labels.tolist() == [1, 2, 0]
    by_itself = CleanSet.from_iterable(pairs)
    assert by_itself.labels.tolist() == [1, 0, 2]
    fitted = by_itself.for_classifier(make_classifier(class_names=["c", "b", "a"]))
    assert fitted.labels.tolist() == [1, 2, 0]
    classes = {"a": 1, "b": 2, "c": None}
    fitted = by_itself.for_classifier(
        make_classifier(), classes=classes, require_several_classes=False
    )
    assert fitted.labels.tolist() == [2, 1]
    assert len(fitted.images) == 2


def test_pictures_are_resized_and_counted() -> None:
    wide = io.BytesIO()
    picture(5, "RGBA", (8, 6)).save(wide, "PNG")
    items = [(wide.getvalue(), 0), (b"", 1), (encoded(), None), (picture(), -1), (picture(), 1)]
    clean = CleanSet.from_iterable(items, size=(4, 4))
    assert clean.images.shape == (2, 3, 4, 4)
    assert clean.reading.lost == {"empty": 1, "no label": 2}
    assert clean.reading.changed == {"alpha": 1}
    assert clean.skipped[0] == "the iterable[1]: an empty file"


def test_reservoirs_are_seeded_and_keep_no_more() -> None:
    drawn = CleanSet.from_iterable(stream(250), per_class=5, seed=1)
    assert Counter(drawn.labels.tolist()) == {0: 5, 1: 5}
    again = CleanSet.from_iterable(stream(250), per_class=5, seed=1)
    assert torch.equal(drawn.images, again.images)
    assert values(drawn) != values(CleanSet.from_iterable(stream(250), per_class=5, seed=2))
    assert values(drawn) == sorted(values(drawn))


def test_each_sample_is_as_likely_as_any_other() -> None:
    drawn: Counter[int] = Counter()
    for seed in range(600):
        drawn.update(values(CleanSet.from_iterable(stream(10, 1), per_class=3, seed=seed)))
    # 180 of 600 are expected, with a standard deviation of 11.
    assert all(130 < drawn[value] < 230 for value in range(10)), drawn


def test_only_what_is_kept_is_alive() -> None:
    """Arrays go as soon as another takes their place; batches are not kept by a view of them."""
    import weakref

    alive: list[weakref.ref[Any]] = []
    most = 0

    def batches() -> Iterator[tuple[Any, Any]]:
        nonlocal most
        for _ in range(50):
            batch = np.zeros((8, 16, 16, 3), np.uint8)
            alive.append(weakref.ref(batch))
            yield batch, np.arange(8) % 2
            del batch
            most = max(most, sum(ref() is not None for ref in alive))

    clean = CleanSet.from_iterable(batches(), per_class=10)
    assert len(clean) == 20
    assert most <= 2


def test_memory_is_bounded() -> None:
    options: dict[str, Any] = {
        "size": None,
        "seed": 0,
        "class_names": None,
        "max_memory": 10 * 4 * 4 * 3 * 4,
    }
    assert len(read_iterable(stream(10), per_class=None, **options).labels) == 10
    forever = ((image, 0) for image, _ in iter(lambda: next(stream(1)), None))
    with pytest.raises(UndoorError, match=r"take more than 0 MiB; give per_class=N to"):
        read_iterable(forever, per_class=None, **options)
    assert len(read_iterable(stream(1000), per_class=5, **options).labels) == 10


def test_channels_of_tensors_come_first() -> None:
    """Three rows of four pixels in three colours could be read in two ways."""
    pixels = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    for image in (pixels, tensor):
        clean = CleanSet.from_iterable([(image, 0)])
        assert torch.equal((clean.images[0] * 255).round().byte(), tensor)
    grey = torch.zeros(3, 5, 5)
    assert CleanSet.from_iterable([(grey, [0, 1, 2])]).images.shape == (3, 1, 5, 5)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], r"the iterable holds no readable image; expected"),
        ([1], r"gave a int; expected pairs \(image, label\), or dict"),
        ([{"text": 1}], r"gave a dict with text; expected pairs"),
        ([(picture(), 1, 2)], r"gave a tuple; expected pairs"),
        ([("cat.png", 1)], r"the image of the iterable\[0\] is a str; expected a Pillow image"),
        (
            [(picture(), 0.5)],
            r"the label of the iterable\[0\] is '0.5' \(float\); expected a class",
        ),
        ([(picture(), True)], r"'True' \(bool\)"),
        ([(np.zeros((2, 4, 4, 3), np.uint8), [1, 2, 3])], r"has 2 images but 3 labels"),
        ([(np.zeros((5, 5, 9), np.uint8), 1)], r"expected .* 1, 3 or 4 channels"),
        ([(picture(), 0), (picture(size=(5, 5)), 1)], r"differ in size \(4x4, 5x5\)"),
        ([(picture(), 0), (np.zeros((4, 4, 3), np.float32), 1)], r"partly float32 and partly ui"),
    ],
)
def test_what_is_no_sample(items: list[Any], message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        CleanSet.from_iterable(items)


def test_per_class_of_nothing() -> None:
    with pytest.raises(UndoorError, match=r"per_class must be at least 1"):
        CleanSet.from_iterable(stream(3), per_class=0)
