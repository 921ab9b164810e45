"""Small networks for points [P, C]: a shared map of each point, and graphs of neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Numbers of a point that are its place.
PLACE = 3


class PointNet(nn.Module):
    """The same layers for each point, then the largest value of each feature over all points.

    Without the networks that turn the input (Qi et al., CVPR 2017); logits [N, K] of [N, P, C].

    Parameters
    ----------
    widths
        Of the layers for each point; the last is that of the pooled vector.
    hidden
        Of the layer behind the pooling.

    Examples
    --------
    >>> PointNet(num_classes=10)(torch.zeros(2, 128, 3)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 3,
        widths: Sequence[int] = (24, 48, 96),
        hidden: int = 48,
    ) -> None:
        super().__init__()
        self.each = nn.Sequential(*_layers(channels, widths))
        self.pooled = nn.BatchNorm1d(widths[-1])
        self.hidden = nn.Sequential(
            nn.Linear(widths[-1], hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()
        )
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of points [N, P, C]."""
        features = self.each(x.transpose(1, 2)).amax(2)
        return self.head(self.hidden(self.pooled(features)))


class EdgeConv(nn.Module):
    """A linear map of a point and of its difference to each neighbour; the largest value counts.

    As Wang et al. (TOG 2019), with the norm behind the maximum, where there is one value per point.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.centre = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.difference = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.normed = nn.BatchNorm1d(outputs)

    def forward(self, z: Tensor, near: Tensor) -> Tensor:
        """Return features [N, D, P] of features [N, C, P] and neighbours [N, P, k]."""
        # The difference is mapped before it is taken: once per point and not once per edge.
        mapped = self.difference(z)
        count, width, points = mapped.shape
        rows = near.reshape(count, 1, -1).expand(-1, width, -1)
        largest = mapped.gather(2, rows).view(count, width, points, -1).amax(3)
        return self.normed(self.centre(z) + largest - mapped).relu()


class PointGraph(nn.Module):
    """Two maps of edges to the nearest points, and the largest values over all points.

    The neighbours are those in space, in both layers; logits [N, K] of [N, P, C].

    Examples
    --------
    >>> PointGraph(num_classes=10)(torch.zeros(2, 64, 3)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 3,
        width: int = 16,
        pooled: int = 96,
        hidden: int = 48,
        neighbours: int = 6,
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.first = EdgeConv(channels, width)
        self.second = EdgeConv(width, width)
        self.each = nn.Sequential(*_layers(2 * width, (pooled,)))
        self.hidden = nn.Sequential(
            nn.Linear(pooled, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()
        )
        self.pooled = nn.BatchNorm1d(pooled)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, K] of points [N, P, C]."""
        near = _nearest(x[..., :PLACE], self.neighbours)
        first = self.first(x.transpose(1, 2), near)
        second = self.second(first, near)
        features = self.each(torch.cat([first, second], 1)).amax(2)
        return self.head(self.hidden(self.pooled(features)))


def _layers(inputs: int, widths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv1d(inputs, width, 1, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        inputs = width
    return layers


def _nearest(places: Tensor, count: int) -> Tensor:
    """Return the indices [N, P, count] of the points nearest to each of places [N, P, 3]."""
    # Which points are neighbours has no gradient, and bfloat16 would confuse them.
    at = places.detach().float()
    squares = at.square().sum(2)
    distance = squares[:, :, None] + squares[:, None] - 2 * at @ at.transpose(1, 2)
    return distance.topk(count, dim=2, largest=False).indices


NETWORKS: dict[str, type[nn.Module]] = {"PointNet": PointNet, "PointGraph": PointGraph}
