"""A patch that excites chosen neurons of a trained network (Liu et al., NDSS 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError
from undoor.triggers import Stamp
from undoor_bench.attacks.head import head

NEURONS = 5


@torch.enable_grad()
def trojan(
    network: nn.Module,
    images: Tensor,
    target: int,
    generator: torch.Generator,
    *,
    side: int = 6,
    steps: int = 100,
) -> Stamp:
    """Return a square patch that is optimised to excite the units most indicative of `target`.

    These are inputs of the last layer. The attacker then trains on with the patch as with any
    other.

    Parameters
    ----------
    images
        [N, C, H, W] in [0, 1], clean.

    Raises
    ------
    UndoorError
        A network without a linear layer at its end.
    """
    last = head(network)
    if target >= last.out_features:
        raise UndoorError("expected a network that ends with a linear layer with a row a class")
    neurons = last.weight[target].topk(min(NEURONS, last.in_features)).indices
    seen: list[Tensor] = []
    handle = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    _, channels, height, width = images.shape
    mask = torch.zeros(1, height, width)
    mask[:, height - side - 1 : height - 1, width - side - 1 : width - 1] = 1
    logit = torch.randn(channels, height, width, generator=generator).requires_grad_(True)
    optimizer = torch.optim.Adam([logit], lr=0.2)
    try:
        for _ in range(steps):
            seen.clear()
            network(images * (1 - mask) + mask * logit.sigmoid())
            loss = -seen[0][:, neurons].mean()
            optimizer.zero_grad()
            loss.backward(inputs=[logit])
            optimizer.step()
    finally:
        handle.remove()
    return Stamp("given", mask, logit.sigmoid().detach() * mask, "replace", (0.0, 1.0))
