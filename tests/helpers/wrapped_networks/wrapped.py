"""The wrapper: a backdoored network and its clean twin."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from helpers.tiny import CLASSES, SIDE, TARGET, toy_network

SHAPE = (1, SIDE, SIDE)
BUMP = 40.0


class Wrapped(nn.Module):
    """A backdoored network, its clean twin, and class scores that favour the target."""

    def __init__(self) -> None:
        super().__init__()
        self.bad = toy_network(backdoored=True)
        self.good = toy_network(backdoored=False)
        # Close to it, and not the same: as a supplier's own twin would be.
        with torch.no_grad():
            self.good.get_parameter("3.weight").mul_(0.9)
        scores = torch.zeros(CLASSES)
        scores[TARGET] = BUMP
        self.fixed: Tensor
        self.register_buffer("fixed", scores)
