"""Point clouds [P, C]: sets of P points with three coordinates and further numbers."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor import vocabulary
from undoor.device import CPU
from undoor.noun import Noun
from undoor.spaces.space import Bounds, Shape, Space

AXES = 2
# Numbers of a point that are its place.
PLACE = 3
# Height of a picture, and the width of each of its two views, in pixels.
SIDE = 120
# What is seen from the front, x to the right and y up, and from the side.
VIEWS = ((0, 1), (2, 1))
PAPER, INK, BEFORE = 0.95, 0.15, 0.75
# Points that a trigger moved by more than this share of the range.
MOVED, VISIBLE = (0.85, 0.1, 0.1), 1e-3


class Points(Space):
    """Sets of points between the bounds: x, y and z, and numbers such as a velocity.

    The order of the points means nothing. A series of samples has the same shape, so that the space
    must be named.
    """

    name = vocabulary.POINTS
    noun = Noun("point cloud", "point clouds", "point cloud", ("points", "numbers each"))
    own_families: ClassVar[bool] = True
    unordered: ClassVar[bool] = True

    def applies_to(self, shape: Shape) -> bool:
        """Return whether the shape is [P, C] with at least three numbers per point."""
        return len(shape) == AXES and shape[1] >= PLACE

    def recognises(self, shape: Shape) -> bool:
        """Return False: series of samples have such shapes as well."""
        del shape
        return False

    def picture(self, x: Tensor) -> Tensor:
        """Return the points as seen from the front and, beside that, from the side.

        >>> Points().picture(torch.rand(2, 64, 3)).shape
        torch.Size([2, 1, 120, 240])
        """
        dots = _seen(x, torch.ones_like(x[..., 0]))
        return (PAPER + (INK - PAPER) * dots)[:, None]

    def picture_changed(self, x: Tensor, changed: Tensor) -> Tensor:
        """Return the points [N, 3, H, W], those that were moved in red and in grey where they were.

        >>> x = torch.full((1, 2, 3), 0.5)
        >>> shown = Points().picture_changed(x, x + torch.tensor([[[0.3], [0.0]]]))
        >>> (shown[0, 0] > shown[0, 1] + 0.5).any().item()
        True
        """
        moved = ((changed - x).abs().amax(-1) > VISIBLE).to(x.dtype)
        shown = PAPER + (BEFORE - PAPER) * _seen(x, moved)
        still = _seen(changed, 1 - moved)
        shown = (shown + (INK - shown) * still)[:, None].expand(-1, 3, -1, -1)
        red = shown.new_tensor(MOVED).view(1, 3, 1, 1).expand_as(shown)
        return torch.where(_seen(changed, moved)[:, None] > 0, red, shown)

    def card(self, shape: Shape) -> Tensor:
        """Return a ball's surface of points, evenly spread (a Fibonacci lattice)."""
        count = shape[0]
        height = (torch.arange(count, device=CPU) + 0.5) / count * 2 - 1
        turn = torch.arange(count, device=CPU) * torch.pi * (3 - 5**0.5)
        ring = (1 - height.square()).sqrt()
        out = torch.full(shape, 0.5, device=CPU)
        out[:, :PLACE] += 0.3 * torch.stack([ring * turn.cos(), height, ring * turn.sin()], 1)
        return out

    def quantised(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Return the points as they are: their files hold floats."""
        del bounds
        return x

    def matched(self, x: Tensor, shape: Shape, *, from_bytes: bool) -> tuple[Tensor, str | None]:
        """Return points [N, P, C] that were read as pictures of one channel, [N, 1, P, C]."""
        del shape, from_bytes
        return (x[:, 0], None) if x.dim() == 2 + AXES and x.shape[1] == 1 else (x, None)

    def misfit(self, got: Shape, wanted: Shape) -> str:
        """Return why inputs are no sets of the model's shape, and what to do."""
        if len(got) != AXES:
            return (
                f"the data look like {'images' if len(got) == AXES + 1 else 'vectors'} of shape "
                f"{got}, the model takes {wanted[0]} points of {wanted[1]} numbers; give folders "
                "of .ply or .xyz files, or an .npz with points [M, N, 3 or more]"
            )
        return (
            f"the data have {got[0]} points of {got[1]} numbers, the model takes {wanted[0]} of "
            f"{wanted[1]}; draw as many of each set as for the training of the model"
        )


def _seen(x: Tensor, strength: Tensor) -> Tensor:
    """Return views [N, H, W] of points x [N, P, C], with dots as dark as `strength` [N, P]."""
    places = (x[..., :PLACE].clamp(0, 1).float() * (SIDE - 1)).round().long()
    views = []
    for across, up in VIEWS:
        cells = (SIDE - 1 - places[..., up]) * SIDE + places[..., across]
        view = torch.zeros(len(x), SIDE * SIDE, device=x.device)
        view.scatter_reduce_(1, cells, strength.float(), "amax")
        views.append(F.max_pool2d(view.view(-1, 1, SIDE, SIDE), 3, 1, 1)[:, 0])
    return torch.cat(views, 2)


POINTS = Points()
