"""Tone triggers: the same change of colour at every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.device import array, beside
from undoor.triggers.trigger import Arrays, Trigger, require_shape, required, text


@dataclass(frozen=True, eq=False)
class Tone(Trigger):
    """u + A u + b + q u^2 with u the pixel, its channels centred and in units of half the bounds.

    Attributes
    ----------
    mix
        A, [C, C].
    shift
        B, [C].
    bend
        Q, [C].
    """

    family: str
    bounds: tuple[float, float]
    mix: Tensor
    shift: Tensor
    bend: Tensor

    kind = "tone"

    def __call__(self, x: Tensor) -> Tensor:
        parts = (part[None] for part in beside(x, self.mix, self.shift, self.bend))
        return toned(x[None], self.bounds, *parts)[0].clamp(*self.bounds)

    def example_shape(self, side: int) -> tuple[int, ...]:
        return (len(self.shift), side, side)

    def arrays(self) -> Arrays:
        return {
            "mix": array(self.mix),
            "shift": array(self.shift),
            "bend": array(self.bend),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Tone:
        mix, shift, bend = required(arrays, "mix", "shift", "bend")
        require_shape("mix", mix, shape[0], shape[0])
        require_shape("shift", shift, shape[0])
        require_shape("bend", bend, shape[0])
        return cls(text(arrays, "family"), bounds, mix, shift, bend)


def toned(
    x: Tensor, bounds: tuple[float, float], mix: Tensor, shift: Tensor, bend: Tensor
) -> Tensor:
    """Inputs [M, n, C, H, W] under M changes of colour."""
    half = (bounds[1] - bounds[0]) / 2
    unit = (x - bounds[0]) / half - 1
    change = torch.einsum("mij,mnj...->mni...", mix.to(x.dtype), unit)
    per_channel = (slice(None), None, slice(None), *[None] * (x.dim() - 3))
    change = change + shift[per_channel] + bend[per_channel] * unit.square()
    return x + half * change
