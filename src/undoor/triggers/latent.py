"""Latent triggers: a shift of the channels inside the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from undoor.triggers.bank import TriggerBank
from undoor.triggers.trigger import Arrays, Trigger, required, text

START = 0.1
UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True, eq=False)
class Latent(Trigger):
    """z + shift at the site, the same at every position.

    shift : [C], one number for each channel of the site.
    """

    family: str
    shift: Tensor
    site: str
    bounds: tuple[float, float] = UNBOUNDED

    kind = "latent"

    def __call__(self, x: Tensor) -> Tensor:
        return x + self.shift.to(x.dtype).view(-1, *[1] * (x.dim() - 2))

    def arrays(self) -> Arrays:
        return {"shift": self.shift.numpy(), "site": np.array(self.site)}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Latent:
        (shift,) = required(arrays, "shift")
        return cls(text(arrays, "family"), shift.flatten(), text(arrays, "site"))


class LatentBank(TriggerBank):
    """One number a channel, added behind a site inside: what an input that carries the trigger has
    in common there with all others that do, whatever its pixels look like.

    The size is the l2 norm of the shift in clean standard deviations of the channels.

    scale : [C], those standard deviations. depth : how the family's name ends.
    """

    unit = "l2 norm in standard deviations"
    step_size = 0.2
    # A shift without pixels can make anything look like any class.
    barred = True
    scale: Tensor

    def __init__(
        self, count: int, site: str, scale: Tensor, generator: torch.Generator, *, depth: str
    ) -> None:
        super().__init__(UNBOUNDED, site)
        self.family = f"latent {depth}"
        self.shift = nn.Parameter(START * torch.randn(count, len(scale), generator=generator))
        self.register_buffer("scale", scale, False)

    def apply_to(self, x: Tensor) -> Tensor:
        shift = (self.shift * self.scale).to(x.dtype)
        return x + shift.view(len(shift), 1, -1, *[1] * (x.dim() - 3))

    def sizes(self) -> Tensor:
        # The root has no gradient at zero.
        return self.shift.square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        shift = (self.shift[index] * self.scale).detach().clone()
        return Latent(self.family, shift, self.site)

    def place(self, index: int, trigger: Trigger) -> None:
        assert isinstance(trigger, Latent)
        with torch.no_grad():
            self.shift[index] = trigger.shift / self.scale
