"""Networks that return a record, such as those of Transformers, instead of the class scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from undoor.plain_weights import shared_copy

LOGITS = "logits"


class ClassScores(nn.Module):
    """A network that returns only its class scores.

    Parameters
    ----------
    network
        Returns a mapping with the key "logits", or an object with that attribute, as models of
        Transformers do.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores [N, K] of normalised inputs [N, ...]."""
        scores: Tensor = _logits(self.network(x))
        return scores


@torch.no_grad()
def with_scores_alone(network: nn.Module, x: Tensor) -> nn.Module:
    """Return the network, or `ClassScores` of it where it returns a record.

    Parameters
    ----------
    network
        It stays unchanged. A network that fails on `x` is returned as it is, too: the error is
        reported in the first pass.
    x
        Normalised inputs [N, ...] to try it on.
    """
    try:
        # A copy: what a first pass changes in the network is found out later.
        made = shared_copy(network)(x)
    except Exception:
        return network
    return network if isinstance(made, Tensor) or _logits(made) is None else ClassScores(network)


def _logits(made: Any) -> Any:
    """Return the class scores in a record; None if it holds none."""
    return made.get(LOGITS) if isinstance(made, Mapping) else getattr(made, LOGITS, None)
