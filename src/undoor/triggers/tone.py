"""Tone triggers: one change of colour at every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.device import array, beside
from undoor.triggers.trigger import Arrays, Trigger, require_shape, required, text


@dataclass(frozen=True, eq=False)
class Tone(Trigger):
    """u + A u + b + q u^2, with u the channels of a pixel scaled from the bounds to [-1, 1].

    Attributes
    ----------
    mix
        The matrix A, [C, C].
    shift
        The vector b, [C].
    bend
        The vector q, [C].
    """

    family: str
    bounds: tuple[float, float]
    mix: Tensor
    shift: Tensor
    bend: Tensor

    kind = "tone"

    def __call__(self, x: Tensor) -> Tensor:
        """Return raw inputs [N, C, H, W] with changed colours, clipped to the bounds."""
        parts = (part[None] for part in beside(x, self.mix, self.shift, self.bend))
        return toned(x[None], self.bounds, *parts)[0].clamp(*self.bounds)

    def example_shape(self, side: int) -> tuple[int, ...]:
        """Return (C, side, side), with the channels of the shift."""
        return (len(self.shift), side, side)

    def arrays(self) -> Arrays:
        """Return ``mix``, ``shift`` and ``bend``."""
        return {
            "mix": array(self.mix),
            "shift": array(self.shift),
            "bend": array(self.bend),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Tone:
        """Return the inverse of `arrays`; see `Trigger.from_arrays`."""
        mix, shift, bend = required(arrays, "mix", "shift", "bend")
        require_shape("mix", mix, shape[0], shape[0])
        require_shape("shift", shift, shape[0])
        require_shape("bend", bend, shape[0])
        return cls(text(arrays, "family"), bounds, mix, shift, bend)


def toned(
    x: Tensor, bounds: tuple[float, float], mix: Tensor, shift: Tensor, bend: Tensor
) -> Tensor:
    """Return inputs [M, n, C, H, W] after M changes of colour, not clipped to the bounds.

    Parameters
    ----------
    x
        Raw inputs, n for each change.
    bounds
        Lowest and highest raw value.
    mix, shift, bend
        As of `Tone`: [M, C, C], [M, C] and [M, C].
    """
    half = (bounds[1] - bounds[0]) / 2
    unit = (x - bounds[0]) / half - 1
    change = torch.einsum("mij,mnj...->mni...", mix.to(x.dtype), unit)
    per_channel = (slice(None), None, slice(None), *[None] * (x.dim() - 3))
    change = change + shift[per_channel] + bend[per_channel] * unit.square()
    return x + half * change
