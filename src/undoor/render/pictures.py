"""Triggers and images as PNG bytes."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from undoor.triggers.trigger import Trigger

SIDE = 160
GAP = 4
GREY = 0.5
# Beyond this a picture shows the optimiser's noise rather than a trigger.
MAX_GAIN = 50.0


def gain(trigger: Trigger) -> float:
    """How much a faint trigger is amplified to be seen; 1 where it shows by itself."""
    low, high = trigger.bounds
    if trigger.mode == "replace":
        strength = float(trigger.mask.max())
    else:
        strength = 2 * float(trigger.pattern.abs().max()) / (high - low)
    return min(MAX_GAIN, max(1.0, 1 / max(strength, 1e-9)))


def trigger_picture(trigger: Trigger) -> bytes:
    """The trigger alone on mid-grey: mask times pattern, or what is added, amplified if faint."""
    low, high = trigger.bounds
    if trigger.mode == "replace":
        mask = (trigger.mask * gain(trigger)).clamp(0, 1)
        shown = mask * (trigger.pattern - low) / (high - low) + (1 - mask) * GREY
    else:
        shown = GREY + gain(trigger) * trigger.pattern / (high - low)
    return png(shown[None])


def before_and_after(images: Tensor, trigger: Trigger) -> bytes:
    """Two rows: images [N, C, H, W] as they are, and the same with the trigger on them."""
    low, high = trigger.bounds
    rows = [(x - low) / (high - low) for x in (images, trigger(images))]
    return png(torch.cat(rows), columns=len(images))


def png(images: Tensor, columns: int = 1) -> bytes:
    """Images [N, C, H, W] in [0, 1] on a grid, each about `SIDE` pixels high."""
    factor = max(1, round(SIDE / images.shape[-2]))
    tiles = [_enlarged(_rgb(image), factor) for image in images]
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 4), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + GAP), (index % columns) * (width + GAP)
        sheet[top : top + height, left : left + width, :3] = tile
        sheet[top : top + height, left : left + width, 3] = 255
    stream = io.BytesIO()
    Image.fromarray(sheet).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _rgb(image: Tensor) -> NDArray[np.uint8]:
    """[C, H, W] in [0, 1] as [H, W, 3]; anything but three channels is shown as their mean."""
    pixels = (image.detach().cpu().float().clamp(0, 1) * 255).round().byte()
    if pixels.shape[0] != 3:
        pixels = pixels.float().mean(0, keepdim=True).byte().expand(3, *pixels.shape[1:])
    return pixels.permute(1, 2, 0).numpy()


def _enlarged(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
