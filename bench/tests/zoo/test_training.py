"""Settings of a training that a row changes."""

from __future__ import annotations

import json

import pytest
import torch

from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor_bench.zoo.train import Recipe
from undoor_bench.zoo.training import USUAL_TRAINING, Training

USUAL = Recipe(epochs=8, flip=True)
LEARNING = CleanSet(torch.arange(400.0).reshape(400, 1, 1, 1), torch.arange(400) % 4)
ALL = Training(3, 0.5, 20, 0.1, False, 0.0, 8, "average")


def test_through_a_file_and_back() -> None:
    truth = json.loads(json.dumps({"attack": "clean", "rate": 0.1} | ALL.to_json()))
    assert Training.of(truth) == ALL
    assert Training.of({"attack": "clean"}) == USUAL_TRAINING
    assert USUAL_TRAINING.to_json() == {}
    assert USUAL_TRAINING.suffix == ""


def test_every_setting_is_in_the_name() -> None:
    assert ALL.suffix == (
        "_epochs3_share0.5_imbalance20_label_noise0.1_augmentfalse_weight_decay0.0_width8"
        "_poolaverage"
    )


def test_the_recipe() -> None:
    assert USUAL_TRAINING.recipe(USUAL) == USUAL
    assert Training(epochs=1).recipe(USUAL) == Recipe(epochs=1, flip=True)
    assert Training(augment=False).recipe(USUAL) == Recipe(epochs=8, shift=0)
    assert Training(weight_decay=0.0).recipe(USUAL) == Recipe(epochs=8, flip=True, weight_decay=0.0)
    assert Training(share=0.5, width=8).recipe(USUAL) == USUAL


def test_the_network() -> None:
    assert Training(epochs=1).network_arguments() == {}
    assert ALL.network_arguments() == {"width": 8, "pool": "average"}
    ALL.require_known("ResNet9")
    Training(width=8).require_known("VGG")
    with pytest.raises(UndoorError, match="the network VGG has no choice of pool"):
        ALL.require_known("VGG")


def test_the_images_are_as_usual() -> None:
    same = USUAL_TRAINING.images(LEARNING, 3)
    assert torch.equal(same.images, LEARNING.images)
    assert torch.equal(same.labels, LEARNING.labels)


def test_fewer_images() -> None:
    """Of every class alike, or one class many times as many as another; with their labels."""
    few = Training(share=0.1).images(LEARNING, 3)
    assert few.labels.bincount().tolist() == [10] * 4
    tail = Training(imbalance=20).images(LEARNING, 3)
    assert sorted(tail.labels.bincount().tolist()) == [5, 14, 37, 100]
    both = Training(share=0.5, imbalance=20).images(LEARNING, 3)
    assert sorted(both.labels.bincount().tolist()) == [2, 7, 18, 50]
    for images in (few, tail, both):
        assert torch.equal(images.images.flatten().long() % 4, images.labels)
    assert not torch.equal(few.images, Training(share=0.1).images(LEARNING, 4).images)


def test_wrong_labels() -> None:
    noisy = Training(label_noise=0.1).images(LEARNING, 3)
    assert torch.equal(noisy.images, LEARNING.images)
    assert int((noisy.labels != LEARNING.labels).sum()) == 40


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1 on, got 0"),
        ({"width": 2.5}, "width must be a whole number"),
        ({"share": 0}, "share must be above 0 and at most 1, got 0"),
        ({"label_noise": 1.5}, "label_noise must be above 0 and at most 1"),
        ({"imbalance": 0.05}, "imbalance must be at least 1, got 0.05"),
        ({"weight_decay": -1}, "weight_decay must be at least 0, got -1"),
        ({"weight_decay": "no"}, "weight_decay .* got 'no'"),
        ({"augment": True}, "augment can only be false, got True"),
        ({"augment": 0}, "augment can only be false, got 0"),
        ({"pool": "sum"}, "pool must be one of max, average, got 'sum'"),
    ],
)
def test_settings_out_of_range(row: dict[str, object], message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        Training.of(row)
