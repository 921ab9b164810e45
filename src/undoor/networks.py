"""Small networks of the usual kinds: for images of 28 x 28 or 32 x 32 pixels, and for rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

POOLS = ("max", "average")


def _unit(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class ResNet9(nn.Module):
    """Six 3 x 3 layers and two residual pairs; logits [N, K] of inputs [N, C, H, W].

    Parameters
    ----------
    pool
        What the head takes of each channel: its "max" over all positions, or its "average".

    Raises
    ------
    ValueError
        Another pool.

    Examples
    --------
    >>> import torch
    >>> ResNet9(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, num_classes: int, channels: int = 3, width: int = 16, pool: str = "max"
    ) -> None:
        super().__init__()
        if pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}, got {pool!r}")
        self.pool = pool
        self.stem = _unit(channels, width)
        self.stage1 = nn.Sequential(_unit(width, 2 * width), nn.MaxPool2d(2))
        self.residual1 = nn.Sequential(_unit(2 * width, 2 * width), _unit(2 * width, 2 * width))
        self.stage2 = nn.Sequential(_unit(2 * width, 4 * width), nn.MaxPool2d(2))
        self.stage3 = nn.Sequential(_unit(4 * width, 6 * width), nn.MaxPool2d(2))
        self.residual2 = nn.Sequential(_unit(6 * width, 6 * width), _unit(6 * width, 6 * width))
        self.head = nn.Linear(6 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of inputs [N, C, H, W]."""
        x = self.stage1(self.stem(x))
        x = x + self.residual1(x)
        x = self.stage3(self.stage2(x))
        x = x + self.residual2(x)
        return self.head(x.amax((2, 3)) if self.pool == "max" else x.mean((2, 3)))


class VGG(nn.Module):
    """Pairs of 3 x 3 layers with batch norm and a flattened head (Simonyan, Zisserman, 2015)."""

    def __init__(self, num_classes: int, channels: int = 3, width: int = 24) -> None:
        super().__init__()
        sides = (channels, width, 2 * width, 4 * width)
        self.layers = nn.Sequential(
            *(nn.Sequential(_unit(i, o), _unit(o, o), nn.MaxPool2d(2)) for i, o in pairwise(sides)),
            nn.AdaptiveAvgPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(16 * width, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of inputs [N, C, H, W]."""
        return self.head(self.layers(x))


class MobileNet(nn.Module):
    """Inverted residuals with depthwise layers (Sandler et al., arXiv 1801.04381), but fewer."""

    def __init__(self, num_classes: int, channels: int = 3, width: int = 24) -> None:
        super().__init__()
        self.stem = _unit(channels, width)
        plan = [(1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (6, 2), (6, 1)]
        inputs, blocks = 1, []
        for factor, stride in plan:
            blocks.append(_Inverted(inputs * width, factor * width, stride))
            inputs = factor
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of inputs [N, C, H, W]."""
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class _Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = 2 * inputs
        self.skip = inputs == outputs and stride == 1
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            _unit(inner, inner, stride=stride, groups=inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)


class PlainCNN(nn.Module):
    """Convolutions without any normalisation, and a hidden linear layer."""

    def __init__(self, num_classes: int, channels: int = 3, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(64 * width, 96),
            nn.ReLU(),
        )
        self.head = nn.Linear(96, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of inputs [N, C, H, W]."""
        return self.head(self.layers(x))


class MLP(nn.Module):
    """Hidden layers for what a network sees of the rows of a table: [N, inputs] to logits [N, K].

    Parameters
    ----------
    inputs
        How many numbers it sees of a row.
    width, depth
        Units of each hidden layer, and how many such layers.
    normed
        Whether each has a batch norm.

    Examples
    --------
    >>> import torch
    >>> MLP(num_classes=2, inputs=5)(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self, num_classes: int, inputs: int, width: int = 64, depth: int = 2, normed: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (inputs, *[width] * (depth - 1)):
            layers.append(nn.Linear(before, width))
            layers += [nn.BatchNorm1d(width)] if normed else []
            layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of rows [N, inputs]."""
        return self.head(self.layers(x))


# For images.
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "ResNet9": ResNet9,
    "VGG": VGG,
    "MobileNet": MobileNet,
    "PlainCNN": PlainCNN,
}
