"""Cluster triggers: a few points of every set replaced by points at one place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.device import CPU, array, beside
from undoor.errors import UndoorError
from undoor.triggers.trigger import Arrays, Trigger, required, text


@dataclass(frozen=True, eq=False)
class Cluster(Trigger):
    """Points that take the place of as many others, evenly spread over the order of a set.

    A set has no order, so that which points they are is as good as drawn at random.

    Attributes
    ----------
    points
        [k, C], in raw units.
    """

    family: str
    bounds: tuple[float, float]
    points: Tensor

    kind = "cluster"

    def __call__(self, x: Tensor) -> Tensor:
        """Return raw inputs [N, P, C] with the points put in, clipped to the bounds."""
        (points,) = beside(x, self.points)
        return put_in(x[None], points[None])[0].clamp(*self.bounds)

    def example_shape(self, side: int) -> tuple[int, ...]:
        """Return the shape of a set with many more points."""
        return (max(8 * side, 4 * len(self.points)), self.points.shape[1])

    def arrays(self) -> Arrays:
        """Return ``points``, the bounds mapped to [0, 1]."""
        low, high = self.bounds
        return {"points": array((self.points - low) / (high - low))}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Cluster:
        """Return the inverse of `arrays`; see `Trigger.from_arrays`."""
        (points,) = required(arrays, "points")
        wanted = (len(points), shape[-1])
        if tuple(points.shape) != wanted or not 0 < len(points) <= shape[0]:
            raise UndoorError(
                f"expected 1 to {shape[0]} points of {shape[-1]} numbers, as inputs of the model "
                f"have them, got {tuple(points.shape)}"
            )
        low, high = bounds
        return cls(text(arrays, "family"), bounds, low + (high - low) * points)


def put_in(x: Tensor, points: Tensor) -> Tensor:
    """Return sets [M, n, P, C] with M clusters [M, k, C], one for each row of sets.

    >>> put_in(torch.zeros(1, 1, 4, 3), torch.ones(1, 2, 3))[0, 0, :, 0]
    tensor([1., 0., 1., 0.])
    """
    count = points.shape[1]
    places = torch.arange(count, device=CPU) * x.shape[2] // count
    rows = points[:, None].expand(-1, x.shape[1], -1, -1).to(x.dtype)
    return x.index_copy(2, places.to(x.device), rows)
