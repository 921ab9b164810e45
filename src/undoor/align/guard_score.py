"""The margin of a class and how far corrections lower it: the quantity the guard decides on."""

from __future__ import annotations

import torch
from torch import Tensor

# Of the bare model's margin, what clean inputs of the target are thought to keep: they lose a part
# of a large margin more than of a small one, triggered ones all of it. On the networks that it was
# chosen on, clean inputs kept 0.4 to 1.1, and 0.6 to 0.8 told triggered inputs apart equally well;
# 1, how far the margin drops, told blends worse, and less told warps worse.
KEPT = 0.75
# The lowest finite float32, in the place of -inf, which JSON, CSV and many runtimes cannot hold.
LOWEST = torch.finfo(torch.float32).min


def without(logits: Tensor, target: int) -> Tensor:
    """A copy of logits [N, K] with that of `target` at `LOWEST`: nothing is predicted as it.

    Nothing is written in place, which exported graphs could not hold.
    """
    columns = torch.arange(logits.shape[1], device=logits.device)
    return logits.masked_fill(columns == target, LOWEST)


def margin(logits: Tensor, target: int) -> Tensor:
    """Logit of `target` less the largest other one [N]; positive where `target` is the answer.

    >>> margin(torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 5.0]]), 0)
    tensor([ 2., -5.])
    """
    return logits[:, target] - without(logits, target).amax(1)


def shortfall(bare: Tensor, corrected: Tensor, target: int) -> Tensor:
    """How far corrections leave less of the margin of `target` than three quarters of it [N].

    bare, corrected : logits [N, K] without and with corrections.

    >>> shortfall(torch.tensor([[8.0, 0.0]]), torch.tensor([[0.0, 2.0]]), 0)
    tensor([8.])
    """
    return KEPT * margin(bare, target) - margin(corrected, target)
