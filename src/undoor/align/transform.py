"""The correction h of one site."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Correction(nn.Module):
    """h(z) = clip(scale * z + shift, low, high) unit by unit (METHOD: paper, section 3, h).

    The paper writes h(z) = max(min((z - mu) / sigma, omega), upsilon); here scale = 1 / sigma and
    shift = -mu / sigma, so that a unit without spread needs no division. The four tensors
    broadcast against one activation map: [C, 1, 1] is a correction per channel, [C, H, W] one per
    position, [C] that of a feature vector.
    """

    scale: Tensor
    shift: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, scale: Tensor, shift: Tensor, low: Tensor, high: Tensor) -> None:
        super().__init__()
        for name, value in (("scale", scale), ("shift", shift), ("low", low), ("high", high)):
            self.register_buffer(name, value.detach().clone().contiguous())

    def forward(self, z: Tensor) -> Tensor:
        return torch.clamp(z * self.scale + self.shift, self.low, self.high)
