"""The margin of a class: the quantity on which the guard decides."""

from __future__ import annotations

import torch
from torch import Tensor


def without(logits: Tensor, target: int) -> Tensor:
    """A copy of logits [N, K] with that of `target` at -inf: nothing can be answered with it."""
    rest = logits.clone()
    rest[:, target] = -torch.inf
    return rest


def margin(logits: Tensor, target: int) -> Tensor:
    """Logit of `target` less the largest other one [N]; positive where `target` is the answer.

    >>> margin(torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 5.0]]), 0)
    tensor([ 2., -5.])
    """
    return logits[:, target] - without(logits, target).amax(1)


def margin_drop(bare: Tensor, corrected: Tensor, target: int) -> Tensor:
    """How far corrections lower the margin of `target` [N], from logits [N, K] without and with."""
    return margin(bare, target) - margin(corrected, target)
