"""Inputs that are likely to throw a hidden switch: clean ones with small saturated patches, and
noise of black and white."""

from __future__ import annotations

import torch
from torch import Tensor

_SIDES = (1, 3)
_COUNT = 8


def probes(x: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Inputs [M, ...] with a patch in one corner each, in turn one pixel and three by three, of all
    channels at an end of the range: black, white, red and so on.

    Parameters
    ----------
    x : clean inputs [N, ...]; what is no image [N, C, H, W] gets single values at the ends.
    """
    low, high = bounds
    x = x[torch.arange(_COUNT, device=x.device) % len(x)].clone()
    if x.dim() != 4:
        flat = x.flatten(1)
        for place in range(_COUNT):
            flat[place, place % flat.shape[1]] = high if place % 2 else low
        return flat.view_as(x)
    channels = x.shape[1]
    for place in range(_COUNT):
        side = _SIDES[place // 4 % 2]
        ends = [high if place >> (c % 3) & 1 else low for c in range(channels)]
        colour = torch.tensor(ends, device=x.device)
        rows = slice(0, side) if place % 2 else slice(-side, None)
        columns = slice(0, side) if place // 2 % 2 else slice(-side, None)
        x[place, :, rows, columns] = colour[:, None, None]
    return x


def saturated(noise: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Each value at the end of the range that it is nearer to: small patterns of any kind are in
    some of that sooner than in noise of every grey.

    >>> saturated(torch.tensor([0.2, 0.9]), (0.0, 1.0))
    tensor([0., 1.])
    """
    low, high = bounds
    return torch.where(noise > (low + high) / 2, high, low)
