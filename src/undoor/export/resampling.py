"""Pillow's antialiased resizing of 8-bit pixels as operators that graphs hold, to the bit.

Pillow's C code (`libImaging/Resample.c` of version 13) resizes in two passes with weights in fixed
point and rounds to 8 bits after each. Here a pass is a product with a matrix of these weights, in
float64, which holds such sums exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from undoor.device import CPU
from undoor.resizing import Resample

# Weights are whole multiples of 1 / ONE.
ONE = 2.0**22
WHITE = 255.0
# 0.54 and 0.46 of float32, as in Pillow.
HAMMING = (0.5400000214576721, 0.46000000834465027)


class Filter(NamedTuple):
    """A filter of Pillow: its weight at a distance, and the distance from which it is zero."""

    weight: Callable[[Tensor], Tensor]
    support: float


def _box(x: Tensor) -> Tensor:
    return ((x > -0.5) & (x <= 0.5)).double()


def _bilinear(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp_min(0)


def _angle(x: Tensor) -> Tensor:
    # A tensor, since the exporter to ONNX rounds numbers of Python to float32.
    return x * torch.tensor(math.pi, dtype=torch.float64, device=CPU)


def _sinc(x: Tensor) -> Tensor:
    angle = _angle(x)
    return torch.where(x == 0, 1.0, angle.sin() / torch.where(x == 0, 1.0, angle))


def _hamming(x: Tensor) -> Tensor:
    x = x.abs()
    a, b = HAMMING
    return torch.where(x >= 1, 0.0, _sinc(x) * (a + b * _angle(x).cos()))


def _bicubic(x: Tensor) -> Tensor:
    x, a = x.abs(), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where((x >= -3) & (x < 3), _sinc(x) * _sinc(x / 3), 0.0)


FILTERS: dict[Resample, Filter] = {
    "box": Filter(_box, 0.5),
    "bilinear": Filter(_bilinear, 1.0),
    "hamming": Filter(_hamming, 1.0),
    "bicubic": Filter(_bicubic, 2.0),
    "lanczos": Filter(_lanczos, 3.0),
}


def weights(length: int, whole: Tensor, start: Tensor, count: int, resample: Resample) -> Tensor:
    """Return the weights of a pass along one side: [count, length], whole multiples of 1 / `ONE`.

    Parameters
    ----------
    length
        Of the side before the pass, in pixels.
    whole
        Of the side after it.
    start, count
        Which pixels after it are wanted: `count` from `start` on.
    resample
        Any filter but "nearest".
    """
    weight, support = FILTERS[resample]
    scale = torch.scalar_tensor(length, dtype=torch.float64, device=CPU) / whole.double()
    widened = scale.clamp_min(1)
    reach = support * widened
    places = torch.arange(count, device=CPU) + start
    centre = (places.double()[:, None] + 0.5) * scale
    first = (centre - reach + 0.5).floor().clamp_min(0)
    end = (centre + reach + 0.5).floor()
    pixel = torch.arange(length, device=CPU).double()
    # In Pillow's order, so that no rounding differs.
    found = weight((pixel - centre + 0.5) * (1.0 / widened))
    found = torch.where((pixel >= first) & (pixel < end), found, 0.0)
    found = found / found.sum(1, keepdim=True)
    return found.sign() * (found.abs() * ONE + 0.5).floor()


def rounded(sums: Tensor) -> Tensor:
    """Return weighted sums of 8-bit values as 8-bit values, in float64."""
    return ((sums + ONE / 2) / ONE).floor().clamp(0, WHITE)


def nearest(length: int, whole: int) -> Tensor:
    """Return which pixels of a side of `length` those of a side of `whole` are: int64 [whole].

    Pillow adds up the step from one pixel to the next, and its sum is rounded at each.
    """
    step = torch.scalar_tensor(length, dtype=torch.float64, device=CPU) / whole
    halves = torch.ones(whole, dtype=torch.float64, device=CPU)
    halves[0] = 0.5
    return (halves * step).cumsum(0).floor().long()
