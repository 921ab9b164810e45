"""Latent triggers: a shift of the channels at a site of the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from undoor.device import array, beside
from undoor.triggers.trigger import Arrays, Trigger, required, text

UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True, eq=False)
class Latent(Trigger):
    """z + shift at a site, the same at every position.

    Attributes
    ----------
    shift
        [C], one number per channel of the site.
    """

    family: str
    shift: Tensor
    site: str
    bounds: tuple[float, float] = UNBOUNDED

    kind = "latent"

    def __call__(self, x: Tensor) -> Tensor:
        """Return shifted outputs of the site [N, C, ...]."""
        (shift,) = beside(x, self.shift)
        return x + shift.to(x.dtype).view(-1, *[1] * (x.dim() - 2))

    def arrays(self) -> Arrays:
        """Return the shift and the name of the site."""
        return {"shift": array(self.shift), "site": np.array(self.site)}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Latent:
        """Return the inverse of `arrays`; see `Trigger.from_arrays`."""
        (shift,) = required(arrays, "shift")
        return cls(text(arrays, "family"), shift.flatten(), text(arrays, "site"))
