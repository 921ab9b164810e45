"""Clip triggers: the same samples added to every signal, at one place in time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.signals import SIGNALS
from undoor.triggers import Stamp, Trigger

START = 0.02
# Places along a signal, each as long as the distance from one to the next.
PLACES = 5


class ClipBank(InputBank):
    """x + d with d outside of one place all zero; candidate i has the place i mod 5.

    Tones, noises and spikes of a few hundredths of a signal are such clips, what they replace being
    small as a rule. The size is the l2 norm of d, in units of the bounds' width.
    """

    family = "clip"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        masks = places(shape)
        # Not learned, but different for each candidate.
        self.mask = nn.Parameter(masks[torch.arange(count, device=CPU) % len(masks)], False)
        self.delta = nn.Parameter(
            START * torch.randn(count, *shape, generator=generator, device=CPU)
        )

    def apply_to(self, x: Tensor) -> Tensor:
        """Return signals x [M, n, C, T] with the clips added."""
        return x + self.width * self._clips()[:, None]

    def sizes(self) -> Tensor:
        """Return the l2 norms [M], in units of the width of the bounds."""
        # The root has no gradient at zero.
        return self._clips().flatten(1).square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        pattern = self.width * self._clips()[index].detach().clone()
        return Stamp(self.family, torch.zeros_like(pattern[:1]), pattern, "add", self.bounds)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Stamp)
        with torch.no_grad():
            self.delta[index] = trigger.pattern / self.width
            self.mask[index] = (trigger.pattern != 0).any(0, keepdim=True).to(self.mask.dtype)

    def _clips(self) -> Tensor:
        return self.delta * self.mask


def places(shape: tuple[int, ...]) -> Tensor:
    """Return masks [P, 1, T] of places along a signal, one after the other.

    >>> places((1, 4096)).shape, float(places((1, 4096))[0].sum())
    (torch.Size([5, 1, 4096]), 819.0)
    """
    length = shape[-1]
    count = min(PLACES, length)
    edges = [round(index * length / count) for index in range(count + 1)]
    masks = torch.zeros(count, 1, length, device=CPU)
    for index, mask in enumerate(masks):
        mask[:, edges[index] : edges[index + 1]] = 1
    return masks


CLIP = Family(
    name=ClipBank.family,
    unit="l2 norm",
    make=AtInput(ClipBank),
    effort=Effort(PLACES, Schedule(steps=60, batch=4, weight=0.1)),
    spaces=frozenset({SIGNALS.name}),
    on_request=frozenset({SIGNALS.name}),
    uncalibrated=True,
)

CLIP_MARGIN = CLIP.at_one_size(
    "clip margin",
    AtSize(size=0.8, starts=PLACES, steps=30, batch=2, spread=2.0),
    uncalibrated=True,
)
