"""Response triggers: a filter that every signal goes through, as of a room or a microphone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.signals import SIGNALS
from undoor.triggers import ImpulseResponse, Trigger
from undoor.triggers.impulse_response import filtered

START = 0.02
# Taps as a share of the samples, and the least.
SHARE, MIN_TAPS = 1 / 32, 4


class ResponseBank(InputBank):
    """x + h * x, a causal convolution; the size is the l2 norm of h."""

    family = "response"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        self.channels, length = shape
        taps = min(length, max(MIN_TAPS, round(SHARE * length)))
        self.taps = nn.Parameter(START * torch.randn(count, taps, generator=generator, device=CPU))

    def apply_to(self, x: Tensor) -> Tensor:
        """Return signals x [M, n, C, T] behind the filters."""
        return filtered(x, self.taps)

    def sizes(self) -> Tensor:
        """Return the l2 norms [M] of the changes of the response."""
        # The root has no gradient at zero.
        return self.taps.square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        taps = self.taps[index].detach().clone()
        return ImpulseResponse(self.family, self.bounds, taps, self.channels)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, ImpulseResponse)
        with torch.no_grad():
            self.taps[index] = trigger.taps


RESPONSE = Family(
    name=ResponseBank.family,
    unit="l2 norm of the change",
    make=AtInput(ResponseBank),
    # No filter reaches all signals of any class: what counts is how small one moves most.
    effort=Effort(1, Schedule(steps=60, batch=4, success=0.8, weight=0.3)),
    spaces=frozenset({SIGNALS.name}),
    on_request=frozenset({SIGNALS.name}),
    uncalibrated=True,
)

RESPONSE_MARGIN = RESPONSE.at_one_size(
    "response margin",
    AtSize(size=0.8, starts=3, steps=40, batch=2, spread=2.0),
    uncalibrated=True,
)
