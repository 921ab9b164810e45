"""How the models of each data set and network are trained, unless a row says otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from undoor.errors import UndoorError
from undoor_bench.zoo.derived import FORMS, derivation
from undoor_bench.zoo.train import ADAMW, Recipe

# By data set; one that is derived is trained like its source, unless it stands here itself.
RECIPES = {
    "mnist": Recipe(epochs=2, shift=1),
    # Ten times as many classes, in half the width each.
    "mnist_pairs": Recipe(epochs=4, shift=1),
    "gtsrb": Recipe(epochs=5),
    # Four times as many classes with a quarter of the images each.
    "gtsrb_turned": Recipe(epochs=6),
    "cifar10": Recipe(epochs=8, flip=True),
}
# Without normalisation the usual rate diverges with some seeds; those with layer norm want AdamW.
BY_NETWORK: dict[str, dict[str, Any]] = {
    "PlainCNN": {"rate": 0.05},
    "ViT": {"optimizer": ADAMW, "rate": 2e-3, "weight_decay": 0.05},
    "ConvNeXt": {"optimizer": ADAMW, "rate": 4e-3, "weight_decay": 0.05},
}


def usual_recipe(data: str, network: str) -> Recipe:
    """Return the recipe for a data set and a network, by name.

    Raises
    ------
    UndoorError
        The data set is not known.

    Examples
    --------
    >>> usual_recipe("cifar10_classes_3_5", "VGG").epochs
    8
    """
    return replace(RECIPES[_like(data)], **BY_NETWORK.get(network, {}))


def _like(data: str) -> str:
    """Return the data set that stands in `RECIPES` for this one."""
    name = data
    while name not in RECIPES:
        found = derivation(name)
        if found is None:
            raise UndoorError(
                f"data must be one of {', '.join(RECIPES)}, or derived from one "
                f"({', '.join(FORMS)}), got {data!r}"
            )
        name = found[0]
    return name
