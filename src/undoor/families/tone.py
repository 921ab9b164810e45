"""Tone triggers: the same change of colour at every pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.images import IMAGES
from undoor.triggers import Tone, Trigger
from undoor.triggers.tone import toned

# Where searches start, far enough from each other to go different ways.
START = 0.08


class ToneBank(InputBank):
    """Tints, contrast, gamma and mixtures of the channels; the size is the l2 norm of all numbers.

    Covers shifts in colour space (Jiang et al., CVPR 2023) and the filters of ABS (Liu et al., CCS
    2019) to second order.
    """

    family = "tone"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        channels = shape[0]
        self.mix = nn.Parameter(
            START * torch.randn(count, channels, channels, generator=generator, device=CPU)
        )
        self.shift = nn.Parameter(
            START * torch.randn(count, channels, generator=generator, device=CPU)
        )
        self.bend = nn.Parameter(
            START * torch.randn(count, channels, generator=generator, device=CPU)
        )

    def apply_to(self, x: Tensor) -> Tensor:
        """Return inputs x [M, n, C, H, W] with their colours changed."""
        return toned(x, self.bounds, self.mix, self.shift, self.bend)

    def sizes(self) -> Tensor:
        """Return the l2 norms [M] of all numbers of a tone."""
        parts = (self.mix, self.shift, self.bend)
        total = torch.cat([part.flatten(1) for part in parts], 1).square().sum(1)
        # The root has no gradient at zero.
        return total.add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        parts = (self.mix, self.shift, self.bend)
        return Tone(self.family, self.bounds, *(part[index].detach().clone() for part in parts))

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Tone)
        with torch.no_grad():
            self.mix[index], self.shift[index] = trigger.mix, trigger.shift
            self.bend[index] = trigger.bend


TONE = Family(
    name=ToneBank.family,
    unit="l2 norm of the change",
    make=AtInput(ToneBank),
    # No tone reaches all images of any class: what counts is how small a trigger moves most.
    effort=Effort(1, Schedule(steps=60, batch=4, success=0.6, weight=1.0)),
    on_request=frozenset({IMAGES.name}),
    uncalibrated=True,
)

TONE_MARGIN = TONE.at_one_size(
    # Few of the starts find a planted tone, and then its margin is far beyond that of natural ones.
    "tone margin",
    AtSize(size=0.4, starts=4, batch=2, spread=2.0),
)
