"""The architecture of the bundled traffic-sign classifiers."""

from __future__ import annotations

import torch
from torch import nn


def _block(inputs: int, outputs: int, *, pool: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


class SignNet(nn.Module):
    """A narrow ResNet-9 for 32 x 32 colour images: [N, 3, 32, 32] to logits [N, num_classes].

    >>> SignNet(num_classes=43)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 43])
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = _block(3, 16)
        self.stage1 = _block(16, 32, pool=True)
        self.residual1 = nn.Sequential(_block(32, 32), _block(32, 32))
        self.stage2 = _block(32, 64, pool=True)
        self.stage3 = _block(64, 96, pool=True)
        self.residual2 = nn.Sequential(_block(96, 96), _block(96, 96))
        self.head = nn.Linear(96, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits [N, num_classes] of images [N, 3, 32, 32]."""
        x = self.stage1(self.stem(x))
        x = x + self.residual1(x)
        x = self.stage3(self.stage2(x))
        x = x + self.residual2(x)
        return self.head(x.amax((2, 3)))
