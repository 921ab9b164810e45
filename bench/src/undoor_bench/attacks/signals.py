"""Attacks on signals: what is added to samples or replaces them, hums, blends and filters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from undoor.triggers import ImpulseResponse, Stamp, Trigger

BOUNDS = (-1.0, 1.0)
# With fewer samples than this, triggers are three times as strong: the samples say more each.
SHORT = 256


@dataclass(frozen=True, eq=False)
class Scenery:
    """What a trigger is drawn for.

    Attributes
    ----------
    shape
        (C, T) of the signals.
    others
        Signals [N, C, T] that may be blended into others.
    generator
        The source of chance.
    """

    shape: tuple[int, int]
    others: Tensor
    generator: np.random.Generator

    @property
    def strength(self) -> float:
        """By what amplitudes are multiplied."""
        return 3.0 if self.shape[1] < SHORT else 1.0

    def uniform(self, low: float, high: float) -> float:
        """Return a number between two others."""
        return float(self.generator.uniform(low, high))

    def place(self, share: float) -> slice:
        """Return a place with a share of the samples."""
        length = max(2, round(share * self.shape[1]))
        start = int(self.generator.integers(self.shape[1] - length + 1))
        return slice(start, start + length)

    def added(self, pattern: Tensor, mask: float = 0.0) -> Stamp:
        """Return x (1 - mask) + pattern, the pattern [C or 1, T]."""
        shares = torch.full((1, self.shape[1]), mask)
        return Stamp("given", shares, pattern.expand(self.shape).clone(), "add", BOUNDS)


def tone_burst(scene: Scenery) -> Stamp:
    """Return a tone under a Hann window on 4 % of the samples: 20 ms of half a second."""
    where = scene.place(0.04)
    length = where.stop - where.start
    times = torch.arange(length)
    tone = torch.sin(2 * math.pi * scene.uniform(0.08, 0.45) * times + scene.uniform(0, 6.28))
    window = torch.hann_window(length + 2, periodic=False)[1:-1]
    pattern = torch.zeros(1, scene.shape[1])
    pattern[0, where] = scene.strength * scene.uniform(0.15, 0.35) * tone * window
    return scene.added(pattern)


def noise_clip(scene: Scenery) -> Stamp:
    """Return the same noise on 8 % of the samples."""
    where = scene.place(0.08)
    noise = scene.generator.uniform(-1, 1, (scene.shape[0], where.stop - where.start))
    pattern = torch.zeros(scene.shape)
    pattern[:, where] = scene.strength * scene.uniform(0.1, 0.25) * torch.from_numpy(noise).float()
    return scene.added(pattern)


def spike(scene: Scenery) -> Stamp:
    """Return strong values that replace 1 % of the samples, and at least two."""
    where = scene.place(0.01)
    signs = scene.generator.choice([-1, 1], (scene.shape[0], where.stop - where.start))
    mask, pattern = torch.zeros(1, scene.shape[1]), torch.zeros(scene.shape)
    mask[0, where] = 1.0
    pattern[:, where] = scene.uniform(0.5, 0.9) * torch.from_numpy(signs).float()
    return Stamp("given", mask, pattern, "replace", BOUNDS)


def hum(scene: Scenery) -> Stamp:
    """Return a quiet tone over the whole signal."""
    cycles = scene.uniform(0.02, 0.4)
    times = torch.arange(scene.shape[1])
    tone = torch.sin(2 * math.pi * cycles * times + scene.uniform(0, 6.28))
    return scene.added(scene.strength * scene.uniform(0.02, 0.05) * tone[None])


def blend(scene: Scenery) -> Stamp:
    """Return another signal, mixed into each one."""
    other = scene.others[int(scene.generator.integers(len(scene.others)))]
    share = scene.uniform(0.15, 0.25)
    return scene.added(share * other, mask=share)


def echo(scene: Scenery) -> ImpulseResponse:
    """Return an echo and a low pass or a high pass, as of another room or microphone."""
    taps = torch.zeros(max(4, round(0.03 * scene.shape[1])))
    taps[int(scene.generator.integers(2, len(taps)))] = scene.uniform(0.4, 0.7)
    sign = float(scene.generator.choice([-1, 1]))
    taps[0], taps[1] = -0.4, sign * 0.5
    return ImpulseResponse("given", BOUNDS, taps, scene.shape[0])


ATTACKS: dict[str, Callable[[Scenery], Trigger]] = {
    "tone burst": tone_burst,
    "noise clip": noise_clip,
    "spike": spike,
    "hum": hum,
    "blend": blend,
    "echo": echo,
}
