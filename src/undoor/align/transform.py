"""The correction h of one site."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.device import beside

# The tensors of a correction: those that each has, and those of one that moves channels together.
UNITS = ("scale", "shift", "low", "high")
MIXING = ("down", "up")


class Correction(nn.Module):
    """h(z) = clip(y + up (down y) + shift, low, high), y = scale * z (METHOD: paper, section 3, h).

    The paper writes h(z) = max(min((z - mu) / sigma, omega), upsilon), unit by unit; here scale =
    1 / sigma and shift = -mu / sigma, so that a unit without spread needs no division. The four
    tensors broadcast against one activation map: [C, 1, 1] is a correction per channel, [C, H, W]
    one per position, [C] that of a feature vector.

    The low-rank part, which the paper does not have, moves channels together, at each position by
    itself.

    Attributes
    ----------
    down
        [r, C], the r combinations of channels that show what moved.
    up
        [C, r], where each moves them. Without the two all is unit by unit.

    Examples
    --------
    >>> one, none = torch.ones(2), torch.zeros(2)
    >>> swap = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
    >>> Correction(one, none, -9 * one, 9 * one, torch.eye(2), swap)(torch.tensor([[3.0, 5.0]]))
    tensor([[5., 3.]])
    """

    scale: Tensor
    shift: Tensor
    low: Tensor
    high: Tensor
    down: Tensor | None
    up: Tensor | None

    def __init__(
        self,
        scale: Tensor,
        shift: Tensor,
        low: Tensor,
        high: Tensor,
        down: Tensor | None = None,
        up: Tensor | None = None,
    ) -> None:
        super().__init__()
        parts = (scale, shift, low, high, down, up)
        for name, value in zip((*UNITS, *MIXING), parts, strict=True):
            copied = None if value is None else value.detach().clone().contiguous()
            self.register_buffer(name, copied)

    @property
    def parts(self) -> dict[str, Tensor]:
        """The tensors it is made of, by name: the first four, or all six."""
        return dict(self.named_buffers())

    def forward(self, z: Tensor) -> Tensor:
        """Return corrected activations of z [N, C, ...]."""
        scale, shift, low, high = beside(z, self.scale, self.shift, self.low, self.high)
        y = z * scale
        if self.down is not None and self.up is not None:
            down, up = beside(z, self.down, self.up)
            y = y + ((y.movedim(1, -1) @ down.T) @ up.T).movedim(-1, 1)
        return torch.clamp(y + shift, low, high)
