"""Deformation triggers: every point moved, by a map of its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from undoor.device import CPU, array, beside
from undoor.errors import UndoorError
from undoor.triggers.trigger import Arrays, Trigger, required, text

PLACE = 3
# Rows of a map: of x, y, z, and the constant.
ROWS = PLACE + 1


@dataclass(frozen=True, eq=False)
class Deformation(Trigger):
    """p + sum_a w_a(p) (p, 1) M_a: affine maps around anchors, weighted by their nearness.

    With one anchor it is a rotation or another affine map of all points (as in PointBA, Li et al.,
    ICCV 2021), with several the weighted local transformation of IRBA (Gao et al., TIFS 2023).
    Further numbers of a point stay as they are.

    Attributes
    ----------
    anchors
        [A, 3], where the middle of the bounds is 0 and their ends are -1 and 1, as for places p.
    maps
        [A, 4, 3], the change of a place; the last row is a shift.
    reach
        Standard deviation of the weights, which sum to 1 over the anchors.
    """

    family: str
    bounds: tuple[float, float]
    anchors: Tensor
    maps: Tensor
    reach: float = 1.0

    kind = "deformation"

    def __call__(self, x: Tensor) -> Tensor:
        """Return raw inputs [N, P, C] with their points moved, clipped to the bounds."""
        anchors, maps = beside(x, self.anchors, self.maps)
        moved = deformed(x[None], self.bounds, anchors, maps[None], self.reach)[0]
        return moved.clamp(*self.bounds)

    def example_shape(self, side: int) -> tuple[int, ...]:
        """Return the shape of a set with many points."""
        return (8 * side, PLACE)

    def arrays(self) -> Arrays:
        """Return ``anchors``, ``maps`` and ``reach``, none of which depends on the bounds."""
        return {
            "anchors": array(self.anchors),
            "maps": array(self.maps),
            "reach": np.array(self.reach),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Deformation:
        """Return the inverse of `arrays`; see `Trigger.from_arrays`."""
        anchors, maps, reach = required(arrays, "anchors", "maps", "reach")
        count = len(anchors)
        fits = tuple(anchors.shape) == (count, PLACE) and tuple(maps.shape) == (count, ROWS, PLACE)
        if not fits or not count or float(reach) <= 0:
            raise UndoorError(
                f"expected anchors [A, 3], maps [A, 4, 3] and a reach above 0, got "
                f"{tuple(anchors.shape)}, {tuple(maps.shape)} and {float(reach):g}"
            )
        return cls(text(arrays, "family"), bounds, anchors, maps, float(reach))


def deformed(
    x: Tensor, bounds: tuple[float, float], anchors: Tensor, maps: Tensor, reach: float
) -> Tensor:
    """Return sets [M, n, P, C] under M deformations, one for each row of sets, not clipped.

    Parameters
    ----------
    maps
        [M, A, 4, 3].
    bounds, anchors, reach
        As of `Deformation`.
    """
    low, high = bounds
    half = (high - low) / 2
    place = (x[..., :PLACE] - (low + high) / 2) / half
    ones = torch.ones_like(place[..., :1])
    affine = torch.cat([place, ones], -1)
    maps = maps.to(x.dtype)
    if len(anchors) == 1:
        change = affine @ maps[:, :1]
    else:
        far = (place[..., None, :] - anchors.to(x.dtype)).square().sum(-1)
        weights = (-far / (2 * reach**2)).softmax(-1)
        change = torch.einsum("mnpa,mnpk,makd->mnpd", weights, affine, maps)
    return torch.cat([x[..., :PLACE] + half * change, x[..., PLACE:]], -1)


def one_anchor() -> Tensor:
    """Return the anchors of a map of all points alike, [1, 3]."""
    return torch.zeros(1, PLACE, device=CPU)
