"""Tone triggers: the same change of colour at every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undoor.triggers.bank import InputBank
from undoor.triggers.trigger import Arrays, Trigger, require_shape, required, text

START = 0.02


@dataclass(frozen=True, eq=False)
class Tone(Trigger):
    """u + A u + b + q u^2 with u the pixel, its channels centred and in units of half the bounds.

    mix : A, [C, C]. shift : b, [C]. bend : q, [C].
    """

    family: str
    bounds: tuple[float, float]
    mix: Tensor
    shift: Tensor
    bend: Tensor

    kind = "tone"

    def __call__(self, x: Tensor) -> Tensor:
        parts = (part[None] for part in (self.mix, self.shift, self.bend))
        return toned(x[None], self.bounds, *parts)[0].clamp(*self.bounds)

    def arrays(self) -> Arrays:
        return {
            "mix": self.mix.numpy(),
            "shift": self.shift.numpy(),
            "bend": self.bend.numpy(),
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


class ToneBank(InputBank):
    """Tints, contrast, gamma and mixtures of the channels; the size is the l2 norm of all numbers.

    Covers shifts in colour space (Jiang et al., CVPR 2023) and the filters of ABS (Liu et al., CCS
    2019) to second order.
    """

    family = "tone"
    unit = "l2 norm of the change"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        channels = shape[0]
        self.mix = nn.Parameter(START * torch.randn(count, channels, channels, generator=generator))
        self.shift = nn.Parameter(START * torch.randn(count, channels, generator=generator))
        self.bend = nn.Parameter(START * torch.randn(count, channels, generator=generator))

    def apply_to(self, x: Tensor) -> Tensor:
        return toned(x, self.bounds, self.mix, self.shift, self.bend)

    def sizes(self) -> Tensor:
        parts = (self.mix, self.shift, self.bend)
        total = torch.cat([part.flatten(1) for part in parts], 1).square().sum(1)
        # The root has no gradient at zero.
        return total.add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        parts = (self.mix, self.shift, self.bend)
        return Tone(self.family, self.bounds, *(part[index].detach().clone() for part in parts))

    def place(self, index: int, trigger: Trigger) -> None:
        assert isinstance(trigger, Tone)
        with torch.no_grad():
            self.mix[index], self.shift[index] = trigger.mix, trigger.shift
            self.bend[index] = trigger.bend


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
