"""Stamp triggers: a mask and a pattern."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from undoor.device import array, beside
from undoor.errors import UndoorError
from undoor.triggers.trigger import Arrays, Trigger, required, text

Mode = Literal["replace", "add"]


@dataclass(frozen=True, eq=False)
class Stamp(Trigger):
    """x (1 - mask) + mask pattern with ``replace``, x (1 - mask) + pattern with ``add``.

    The result is clipped to `bounds`.

    Attributes
    ----------
    mask
        [1, H, W] or [C, H, W] in [0, 1]; all zero if nothing is replaced.
    pattern
        [C, H, W] in raw units.
    """

    family: str
    mask: Tensor
    pattern: Tensor
    mode: Mode
    bounds: tuple[float, float]

    kind = "stamp"

    def __call__(self, x: Tensor) -> Tensor:
        """Return raw inputs [N, C, H, W] with the stamp, clipped to the bounds."""
        mask, pattern = beside(x, self.mask, self.pattern)
        added = pattern * mask if self.mode == "replace" else pattern
        return (x * (1 - mask) + added).clamp(*self.bounds)

    def resized(self, shape: tuple[int, ...]) -> Stamp:
        """Return the stamp for images of another size [C, H, W].

        >>> import torch
        >>> stamp = Stamp("given", torch.ones(1, 2, 2), torch.zeros(3, 2, 2), "replace", (0, 1))
        >>> stamp.resized((3, 4, 4)).pattern.shape
        torch.Size([3, 4, 4])
        """
        mask, pattern = (
            F.interpolate(each[None], shape[1:], mode="bilinear", align_corners=False)[0]
            for each in (self.mask, self.pattern)
        )
        return replace(self, mask=mask, pattern=pattern)

    def arrays(self) -> Arrays:
        """Return ``mask``, ``pattern`` (channels last, bounds mapped to [0, 1]) and ``mode``."""
        low, high = self.bounds
        offset = low if self.mode == "replace" else 0.0
        pattern = array(((self.pattern - offset) / (high - low)).movedim(0, -1))
        shared = len(self.mask) == 1 and self.mask.dim() > 1
        mask = array(self.mask[0] if shared else self.mask.movedim(0, -1))
        return {"mask": mask, "pattern": pattern, "mode": np.array(self.mode)}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Stamp:
        """Return the inverse of `arrays`; mask and pattern may be [H, W] or [H, W, C]."""
        mode = text(arrays, "mode")
        mask, pattern = required(arrays, "mask", "pattern")
        if mode not in get_args(Mode):
            raise UndoorError(f"mode must be 'replace' or 'add', got {mode!r}")
        mask = _channels_first(mask, "mask", len(shape))
        pattern = _channels_first(pattern, "pattern", len(shape))
        if pattern.shape[1:] != shape[1:] or mask.shape[1:] != shape[1:]:
            raise UndoorError(
                f"expected a trigger of {'x'.join(map(str, shape[1:]))} pixels, as the inputs of "
                f"the model, got pattern {tuple(pattern.shape[1:])} and mask "
                f"{tuple(mask.shape[1:])}"
            )
        if mask.shape[0] not in (1, shape[0]) or pattern.shape[0] not in (1, shape[0]):
            raise UndoorError(
                f"expected {shape[0]} channels, got pattern {pattern.shape[0]} and "
                f"mask {mask.shape[0]}"
            )
        low, high = bounds
        pattern = pattern.expand(shape) * (high - low) + (low if mode == "replace" else 0.0)
        return cls(_family(arrays), mask, pattern.contiguous(), mode, bounds)  # type: ignore[arg-type]


def _family(arrays: Arrays) -> str:
    return str(arrays.get("family", "given"))


def _channels_first(array: Tensor, name: str, dimensions: int) -> Tensor:
    if array.dim() == dimensions:
        return array.movedim(-1, 0)
    if array.dim() == dimensions - 1:
        return array[None]
    raise UndoorError(f"{name} must be [H, W] or [H, W, C] for an image, got {tuple(array.shape)}")
