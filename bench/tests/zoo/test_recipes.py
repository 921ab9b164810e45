"""How data sets and networks are trained."""

from __future__ import annotations

import pytest

from undoor.errors import UndoorError
from undoor_bench.zoo.recipes import BY_NETWORK, RECIPES, usual_recipe
from undoor_bench.zoo.train import ADAMW, SGD


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("cifar10", "cifar10"),
        ("cifar10_cast_3", "cifar10"),
        ("gtsrb_turned", "gtsrb_turned"),
        ("mnist_pairs_classes_0-19", "mnist_pairs"),
        ("mnist_classes_0-4_pairs", "mnist"),
    ],
)
def test_a_derived_data_set_is_trained_like_its_source(name: str, like: str) -> None:
    assert usual_recipe(name, "VGG") == RECIPES[like]
    assert usual_recipe(name, "PlainCNN").rate == BY_NETWORK["PlainCNN"]["rate"]


@pytest.mark.parametrize("name", ["imagenet", "imagenet_classes_0_1", "", "mnist_"])
def test_what_is_not_known(name: str) -> None:
    with pytest.raises(UndoorError, match=f"mnist, .* NAME_classes_0_2-4.*, got '{name}'"):
        usual_recipe(name, "VGG")


def test_networks_with_layer_norm_learn_by_adamw() -> None:
    assert usual_recipe("mnist", "ViT").optimizer == ADAMW
    assert usual_recipe("mnist", "ResNet9").optimizer == SGD
