"""Triggers and images as PNG bytes."""

from __future__ import annotations

import io

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from undoor.classifier import ENTRY
from undoor.device import CPU, array, on_cpu
from undoor.spaces.registry import space_of
from undoor.spaces.space import Space
from undoor.triggers.insertion import Insertion
from undoor.triggers.latent import Latent
from undoor.triggers.stamp import Stamp
from undoor.triggers.trigger import Trigger

SIDE = 160
GAP = 4
GREY = 0.5
CARD = 32
# Beyond this a picture shows the optimiser's noise rather than a trigger.
MAX_GAIN = 50.0


def gain(trigger: Trigger) -> float:
    """Return the factor that makes a faint trigger visible; 1 where it needs none."""
    if not isinstance(trigger, Stamp):
        return 1.0
    low, high = trigger.bounds
    if trigger.mode == "replace":
        strength = float(trigger.mask.max())
    else:
        strength = 2 * float(trigger.pattern.abs().max()) / (high - low)
    return min(MAX_GAIN, max(1.0, 1 / max(strength, 1e-9)))


def has_picture(trigger: Trigger, space: Space | None = None) -> bool:
    """Return whether there is a picture of a trigger: texts, and what is put into them, have none.

    Parameters
    ----------
    space
        What inputs are, if it was named.
    """
    discrete = space is not None and space.discrete
    return not (isinstance(trigger, Insertion) or (discrete and trigger.site == ENTRY))


def trigger_picture(trigger: Trigger, space: Space | None = None) -> bytes:
    """Return the trigger alone: a mask and pattern on mid-grey, amplified if faint.

    A latent trigger is shown as one bar per channel of its shift, any other kind by its effect on a
    test card.

    Parameters
    ----------
    space
        What inputs are; None infers it from their shape.
    """
    if isinstance(trigger, Latent):
        return png(_bars(trigger.shift)[None])
    low, high = trigger.bounds
    if not isinstance(trigger, Stamp):
        shape = trigger.example_shape(CARD)
        space = space or space_of(shape)
        card = space.at(space.card(shape)[None], trigger.bounds)
        return png(space.picture((trigger(card) - low) / (high - low)))
    if trigger.mode == "replace":
        mask = (trigger.mask * gain(trigger)).clamp(0, 1)
        shown = mask * (trigger.pattern - low) / (high - low) + (1 - mask) * GREY
    else:
        shown = GREY + gain(trigger) * trigger.pattern / (high - low)
    space = space or space_of(tuple(shown.shape))
    return png(space.picture(shown[None]))


def _bars(values: Tensor, height: int = 64, width: int = 4) -> Tensor:
    """Return a picture [3, H, W] with a bar for each value, up or down from the middle."""
    level = (height / 2 * values / values.abs().max().clamp_min(1e-9)).round()
    rows = height / 2 - torch.arange(height, device=CPU)[:, None] - 0.5
    filled = (rows.sign() == level.sign()) & (rows.abs() <= level.abs())
    picture = torch.where(filled, 0.2, 0.9).repeat_interleave(width, 1)
    return picture.expand(3, -1, -1)


def before_and_after(images: Tensor, trigger: Trigger, space: Space | None = None) -> bytes:
    """Return a PNG of two rows: inputs [N, ...] as they are, and with the trigger on them.

    The trigger must act on inputs.

    Parameters
    ----------
    space
        As of `trigger_picture`.
    """
    rows = _stamped(images, trigger, space)
    return png(torch.cat(rows), columns=len(images))


def clean_and_stamped(
    image: Tensor, trigger: Trigger, space: Space | None = None
) -> tuple[bytes, bytes]:
    """Return PNGs of one input as it is, and with the trigger, which must act on inputs.

    Parameters
    ----------
    space
        As of `trigger_picture`.
    """
    clean, stamped = _stamped(image[None], trigger, space)
    return png(clean), png(stamped)


def _stamped(images: Tensor, trigger: Trigger, space: Space | None) -> list[Tensor]:
    """Return pictures [N, C, H, W] in [0, 1] of inputs without and with the trigger.

    They are no higher than a page needs.
    """
    assert trigger.site == ENTRY
    low, high = trigger.bounds
    space = space or space_of(tuple(images.shape[1:]))
    before, after = ((x - low) / (high - low) for x in (images, trigger(images)))
    stamped = space.picture_changed(before, after)
    shown = [space.picture(before).expand(-1, stamped.shape[1], -1, -1), stamped]
    height, width = shown[0].shape[-2:]
    if height <= SIDE:
        return shown
    size = (SIDE, max(1, round(SIDE * width / height)))
    return [F.interpolate(x, size, mode="bilinear", antialias=True) for x in shown]


def png(images: Tensor, columns: int = 1) -> bytes:
    """Return a PNG of images [N, C, H, W] in [0, 1] on a grid, each about `SIDE` pixels high."""
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
    """Return [C, H, W] in [0, 1] as [H, W, 3]; anything but three channels as their mean."""
    pixels = (on_cpu(image).float().clamp(0, 1) * 255).round().byte()
    if pixels.shape[0] != 3:
        pixels = pixels.float().mean(0, keepdim=True).byte().expand(3, *pixels.shape[1:])
    return array(pixels.permute(1, 2, 0))


def _enlarged(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
