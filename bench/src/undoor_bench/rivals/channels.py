"""Channels of a layer, and how one is taken out of a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.sites import LINEAR_MAPS, NORMS


def bias_of(layer: nn.Module) -> Tensor:
    """Return the bias [C] of a batch norm, convolution or linear layer; 0 where it has none."""
    bias = getattr(layer, "bias", None)
    if isinstance(bias, Tensor):
        return bias.detach().clone()
    return torch.zeros(_width(layer))


def silence(layer: nn.Module, channels: Tensor, *, bias: bool) -> None:
    """Make weights of these channels (a mask [C]) of `layer` 0 in place, with `bias` those too.

    >>> layer = nn.Linear(2, 3)
    >>> silence(layer, torch.tensor([True, False, True]), bias=True)
    >>> (layer(torch.ones(1, 2)) == 0).tolist()
    [[True, False, True]]
    """
    if isinstance(layer, NORMS) and layer.weight is None:
        # A batch norm without weights has those that change nothing.
        layer.affine = True
        layer.weight = nn.Parameter(torch.ones(layer.num_features), requires_grad=False)
        layer.bias = nn.Parameter(torch.zeros(layer.num_features), requires_grad=False)
    with torch.no_grad():
        layer.get_parameter("weight")[channels] = 0
        if bias and isinstance(layer.bias, Tensor):
            layer.bias[channels] = 0


def _width(layer: nn.Module) -> int:
    if isinstance(layer, NORMS):
        return layer.num_features
    if isinstance(layer, LINEAR_MAPS):
        return len(layer.weight)
    raise UndoorError(
        f"expected a batch norm, convolution or linear layer, got {type(layer).__name__}; "
        "only their channels are known"
    )
