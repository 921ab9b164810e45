"""Spike triggers: a few samples of every signal replaced, at one place in time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family, InRepair
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.signals import SIGNALS
from undoor.triggers import Stamp, Trigger

# Samples as a share of all, and the least.
SHARE, MIN_SAMPLES = 1 / 64, 2
# Places, evenly spread over a signal.
PLACES = 4
# A logit beyond which a sample hardly changes, and how far random samples are spread.
MAX_LOGIT, SPREAD = 4.0, 0.5
# A start this far from the bounds keeps the gradient of the sigmoid alive.
MARGIN = 0.005


class SpikeBank(InputBank):
    """x with the samples p at one place; candidate i has the place i mod 4.

    What a network has learned of a few samples it sees wherever they are, as a rule, so that a few
    places are enough. The size is the l1 norm of the mask, in samples.
    """

    family = "spike"
    step_size = 0.4

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        masks = spots(shape)
        # Not learned, but different for each candidate.
        self.spot = nn.Parameter(masks[torch.arange(count, device=CPU) % len(masks)], False)
        self.mask_logit = nn.Parameter(torch.full_like(self.spot, MAX_LOGIT))
        noise = torch.randn(count, *shape, generator=generator, device=CPU)
        self.pattern_logit = nn.Parameter(SPREAD * noise)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return signals x [M, n, C, T] with the samples replaced."""
        return x + (self._pattern()[:, None] - x) * self._mask()[:, None]

    def sizes(self) -> Tensor:
        """Return the l1 norms [M] of the masks, in samples."""
        return self._mask().flatten(1).sum(1)

    def limit(self, size: float) -> None:
        """Hold samples back from where they do not change any more; places are as they are."""
        with torch.no_grad():
            self.pattern_logit.clamp_(-MAX_LOGIT, MAX_LOGIT)
            self.mask_logit.fill_(MAX_LOGIT)

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        mask = self._mask()[index].detach().clone()
        pattern = self._pattern()[index].detach().clone()
        return Stamp(self.family, mask, pattern, "replace", self.bounds)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Stamp)
        pattern = (trigger.pattern - self.bounds[0]) / self.width
        with torch.no_grad():
            self.spot[index] = (trigger.mask > 0).to(self.spot.dtype)
            self.mask_logit[index] = trigger.mask.logit(MARGIN)
            self.pattern_logit[index] = pattern.logit(MARGIN)

    def _mask(self) -> Tensor:
        return self.spot * self.mask_logit.sigmoid()

    def _pattern(self) -> Tensor:
        return self.bounds[0] + self.width * self.pattern_logit.sigmoid()


def spots(shape: tuple[int, ...]) -> Tensor:
    """Return masks [P, 1, T] of a few samples at places from the start to the end.

    >>> spots((1, 4096)).shape, float(spots((1, 4096))[0].sum())
    (torch.Size([4, 1, 4096]), 64.0)
    """
    length = shape[-1]
    samples = min(length, max(MIN_SAMPLES, round(SHARE * length)))
    masks = torch.zeros(PLACES, 1, length, device=CPU)
    for index, mask in enumerate(masks):
        start = round(index * (length - samples) / (PLACES - 1))
        mask[:, start : start + samples] = 1
    return masks


SPIKE = Family(
    name=SpikeBank.family,
    unit="samples",
    make=AtInput(SpikeBank),
    effort=Effort(PLACES, Schedule(steps=60, batch=4, weight=0.02)),
    spaces=frozenset({SIGNALS.name}),
    on_request=frozenset({SIGNALS.name}),
    uncalibrated=True,
    in_repair=InRepair(control=True),
)

SPIKE_MARGIN = SPIKE.at_one_size(
    "spike margin",
    AtSize(size=64.0, starts=PLACES, steps=30, batch=2, spread=2.0),
    uncalibrated=True,
)
