"""The networks for images that the zoo's tables name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from undoor.networks import NETWORKS
from undoor.vision_networks import ConvNeXt, ViT

IMAGE_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **NETWORKS,
    "ViT": ViT,
    "ConvNeXt": ConvNeXt,
}


def sized_for(network: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments of a network that follow from the shape [C, H, W] of its images.

    Examples
    --------
    >>> sized_for("VGG", (1, 28, 28)), sized_for("ViT", (1, 28, 28))
    ({'channels': 1}, {'channels': 1, 'side': 28})
    """
    able = inspect.signature(IMAGE_NETWORKS[network]).parameters
    return {"channels": shape[0]} | ({"side": shape[1]} if "side" in able else {})


def architecture_of(network: str) -> str:
    """Return where a network stands, as model.toml wants it.

    Examples
    --------
    >>> architecture_of("VGG"), architecture_of("ViT")
    ('undoor.networks:VGG', 'undoor.vision_networks:ViT')
    """
    return f"{IMAGE_NETWORKS[network].__module__}:{network}"
