"""Pictures on which a graph with preprocessing is compared with the guarded model."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from undoor.device import CPU, array, from_array
from undoor.export.parity import Probe
from undoor.preparation import WHITE, Preparation

# Sizes in tenths of the model's: smaller, larger, flat, and tall ones, of which Pillow resizes
# the height first.
TENTHS = ((7, 6), (13, 21), (9, 34), (45, 20))


def pixel_probes(preparation: Preparation, batches: Iterable[Tensor], seed: int = 0) -> list[Probe]:
    """Return pictures of several sizes as pixels, and the raw inputs that Pillow makes of them.

    Parameters
    ----------
    preparation
        Of a model that takes pictures.
    batches
        Raw inputs [N, C, H, W] within the bounds; they become pictures of the model's own size.
    """
    generator = torch.Generator().manual_seed(seed)
    channels, height, width = preparation.contract.input_shape
    pictures = [_pixels(batch, preparation.contract.bounds) for batch in batches]
    for tall, wide in TENTHS:
        size = (2, max(1, height * tall // 10), max(1, width * wide // 10), channels)
        noise = torch.randint(0, WHITE + 1, size, generator=generator, device=CPU)
        pictures.append(noise.to(torch.uint8))
    return [Probe(_prepared(pixels, preparation), pixels) for pixels in pictures]


def _pixels(batch: Tensor, bounds: tuple[float, float]) -> Tensor:
    low, high = bounds
    levels = ((batch - low) / (high - low) * WHITE).round().clamp(0, WHITE)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _prepared(pixels: Tensor, preparation: Preparation) -> Tensor:
    return torch.stack([from_array(preparation.prepared(array(picture))) for picture in pixels])
