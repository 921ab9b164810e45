"""Triggers and images as PNG."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from undoor.triggers import Stamp, Trigger
from undoor.triggers.pictures import before_and_after, gain, png, trigger_picture
from undoor.triggers.stamp import Mode


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def make(mode: Mode, strength: float, bounds: tuple[float, float] = (0.0, 1.0)) -> Trigger:
    mask, pattern = torch.zeros(1, 8, 8), torch.zeros(3, 8, 8)
    low, high = bounds
    if mode == "replace":
        mask[:, 6:, 6:] = strength
        pattern[:] = high
    else:
        pattern[:, 6:, 6:] = strength * (high - low)
    return Stamp("test", mask, pattern, mode, bounds)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)])
@pytest.mark.parametrize(
    ("mode", "strength", "expected"),
    [("replace", 1.0, 1), ("replace", 0.1, 10), ("add", 0.5, 1), ("add", 0.05, 10)],
)
def test_faint_triggers_are_amplified(
    mode: Mode, strength: float, expected: float, bounds: tuple[float, float]
) -> None:
    trigger = make(mode, strength, bounds)
    assert gain(trigger) == pytest.approx(expected, rel=1e-4)
    shown = pixels(trigger_picture(trigger))
    assert shown.shape == (160, 160, 4)
    assert (shown[0, 0, :3] == 128).all()
    assert (shown[-1, -1, :3] == 255).all()


def test_a_trigger_of_nothing() -> None:
    assert (pixels(trigger_picture(make("add", 0.0)))[..., :3] == 128).all()


def test_before_and_after() -> None:
    images = torch.full((3, 3, 8, 8), -1.0)
    sheet = pixels(before_and_after(images, make("replace", 1.0, (-1.0, 1.0))))
    assert sheet.shape == (2 * 160 + 4, 3 * 160 + 2 * 4, 4)
    assert (sheet[159, 159, :3] == 0).all()
    assert (sheet[-1, -1, :3] == 255).all()
    # Nearest neighbour: nothing between black and white; the gaps are transparent.
    assert set(np.unique(sheet[..., :3])) == {0, 255}
    assert sheet[162, 0, 3] == 0


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_are_grey(channels: int) -> None:
    image = pixels(png(torch.full((1, channels, 8, 8), 0.2)))
    assert (image[..., :3] == 51).all()


def test_large_images_are_not_enlarged() -> None:
    assert pixels(png(torch.rand(1, 3, 300, 200))).shape == (300, 200, 4)
