"""Signals [C, T]: audio, the series of sensors, and other samples in time."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from undoor import vocabulary
from undoor.device import CPU
from undoor.noun import Noun
from undoor.spaces.space import Extent, Shape, Space

AXES = 2
# Height of the picture of one channel, and its greatest width, in pixels.
HEIGHT, WIDTH = 80, 320
PAPER, INK = 0.95, 0.15
# The paper under samples that a trigger changes by more than this share of its largest change.
MARK, VISIBLE = (1.0, 0.8, 0.75), 0.05
# The samples that natural trigger sizes were measured on, of all channels.
VALUES = 4096


class Signals(Space):
    """Samples between the bounds: C channels of T samples each, with more samples than channels."""

    name = vocabulary.SIGNALS
    noun = Noun("signal", "signals", "signal", ("channels", "samples"))
    own_families: ClassVar[bool] = True

    def applies_to(self, shape: Shape) -> bool:
        """Return whether the shape has two axes."""
        return len(shape) == AXES

    def recognises(self, shape: Shape) -> bool:
        """Return whether the shape has two axes, and the second is the longer one."""
        return self.applies_to(shape) and shape[1] > shape[0]

    def picture(self, x: Tensor) -> Tensor:
        """Return waveforms, one channel below the other, with a bar from low to high per column.

        >>> Signals().picture(torch.rand(1, 2, 500)).shape
        torch.Size([1, 1, 160, 320])
        """
        width = min(WIDTH, x.shape[-1])
        shares = x.clamp(0, 1).float()
        high = F.adaptive_max_pool1d(shares, width)
        low = -F.adaptive_max_pool1d(-shares, width)
        # A column begins where the one before it ended, so that steep waves have no holes.
        before = torch.cat([high[..., :1], high[..., :-1]], -1)
        after = torch.cat([low[..., :1], low[..., :-1]], -1)
        top, bottom = torch.maximum(high, after), torch.minimum(low, before)
        rows = (HEIGHT - 0.5 - x.new_tensor(range(HEIGHT)).float())[:, None] / HEIGHT
        half = 0.5 / HEIGHT
        filled = (rows <= top[:, :, None] + half) & (rows >= bottom[:, :, None] - half)
        return (PAPER + (INK - PAPER) * filled.float()).flatten(1, 2)[:, None]

    def picture_changed(self, x: Tensor, changed: Tensor) -> Tensor:
        """Return waveforms [N, 3, H, W] on red paper where the samples were changed.

        >>> x = torch.full((1, 1, 320), 0.5)
        >>> changed = x.index_fill(2, torch.arange(32, 64), 0.9)
        >>> shown = Signals().picture_changed(x, changed)
        >>> red = (shown[0, 0] != shown[0, 1]).any(0).nonzero()[:, 0]
        >>> int(red.min()), int(red.max())
        (32, 63)
        """
        shown = self.picture(changed).expand(-1, 3, -1, -1)
        moved = F.adaptive_max_pool1d((changed - x).abs().amax(1, keepdim=True), shown.shape[-1])
        marked = (moved > VISIBLE * moved.amax(2, keepdim=True))[:, None] & (shown == PAPER)
        red = shown.new_tensor(MARK).view(1, 3, 1, 1).expand_as(shown)
        return torch.where(marked, red, shown)

    def card(self, shape: Shape) -> Tensor:
        """Return clicks in the middle of silence, which show what a filter makes of them."""
        out = torch.full(shape, 0.5, device=CPU)
        out[:, :: max(1, shape[1] // 4)] = 1.0
        return out

    def quantised(self, x: Tensor, bounds: tuple[float, float]) -> Tensor:
        """Return the signals as they are: their files hold at least 16 bits, or floats."""
        del bounds
        return x

    def extent(self, shape: Shape) -> Extent:
        """Return the size of a signal relative to one channel of 4,096 samples.

        >>> Signals().extent((1, 8192))
        Extent(places=2.0, values=2.0, side=2.0)
        """
        places = shape[1] / VALUES
        return Extent(places, places * shape[0], places)

    def matched(self, x: Tensor, shape: Shape, *, from_bytes: bool) -> tuple[Tensor, str | None]:
        """Return signals that were read as pictures: [N, 1, C, T] of arrays, [N, 1, T, C] of files.

        As files of arrays and of recordings hold them.
        """
        del from_bytes
        if len(x.shape) != 2 + AXES or x.shape[1] != 1:
            return x, None
        flat = x[:, 0]
        turned = flat.shape[1:] != shape and tuple(flat.shape[:0:-1]) == tuple(shape)
        return flat.transpose(1, 2).contiguous() if turned else flat, None

    def misfit(self, got: Shape, wanted: Shape) -> str:
        """Return why inputs are no signals of the model's shape, and what to do."""
        if len(got) != AXES:
            return (
                f"the data look like {'images' if len(got) == AXES + 1 else 'vectors'} of shape "
                f"{got}, the model takes signals of {wanted[0]} channels and {wanted[1]} samples; "
                "give folders of recordings, or an .npz with x [N, C, T]"
            )
        return (
            f"the signals have {got[0]} channels of {got[1]} samples, the model takes {wanted[0]} "
            f"of {wanted[1]}; cut or fill them as for the training of the model"
        )


SIGNALS = Signals()
