"""Filter triggers: an impulse response that every signal goes through."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.device import array, beside
from undoor.triggers.trigger import Arrays, Trigger, require_shape, required, text


@dataclass(frozen=True, eq=False)
class ImpulseResponse(Trigger):
    """x + h * x, a causal convolution with the same h for all channels, clipped to the bounds.

    Attributes
    ----------
    taps
        The change h of the response, [L]; all zero for a signal that stays as it is.
    channels
        Of the signals.
    """

    family: str
    bounds: tuple[float, float]
    taps: Tensor
    channels: int = 1

    kind = "impulse response"

    def __call__(self, x: Tensor) -> Tensor:
        """Return raw inputs [N, C, T] behind the filter, clipped to the bounds."""
        (taps,) = beside(x, self.taps)
        return filtered(x[None], taps[None])[0].clamp(*self.bounds)

    def example_shape(self, side: int) -> tuple[int, ...]:
        """Return (C, T), with at least twice as many samples as taps."""
        return (self.channels, max(2 * len(self.taps), side))

    def arrays(self) -> Arrays:
        """Return ``taps``."""
        return {"taps": array(self.taps)}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> ImpulseResponse:
        """Return the inverse of `arrays`; see `Trigger.from_arrays`."""
        (taps,) = required(arrays, "taps")
        require_shape("taps", taps, taps.numel())
        return cls(text(arrays, "family"), bounds, taps, shape[0])


def filtered(x: Tensor, taps: Tensor) -> Tensor:
    """Return signals [M, n, C, T] with what M filters add to them, not clipped.

    Parameters
    ----------
    x
        Raw inputs, n for each filter.
    taps
        [M, L], of the change.
    """
    length = x.shape[-1] + taps.shape[-1]
    spectrum = (
        torch.fft.rfft(x.float(), length) * torch.fft.rfft(taps.float(), length)[:, None, None]
    )
    return x + torch.fft.irfft(spectrum, length)[..., : x.shape[-1]].to(x.dtype)
