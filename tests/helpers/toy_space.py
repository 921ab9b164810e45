"""A space of inputs as another package would write it: signals [C, T], and a family of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.growth import as_area
from undoor.families.null import Null
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.space import Bounds, Extent, Shape, Space
from undoor.triggers import Stamp, Trigger

SAMPLES = 64
HEIGHT = 32
STEPS = 2**15


class Signals(Space):
    """[C, T]: C channels of T samples, stored with 16 bits."""

    name = "toy signals"

    def applies_to(self, shape: Shape) -> bool:
        return len(shape) == 2

    def picture(self, x: Tensor) -> Tensor:
        """Each channel as a curve under which all is dark, the first on top."""
        rows = 1 - (torch.arange(HEIGHT) + 0.5)[:, None] / HEIGHT
        dark = (x.clamp(0, 1)[:, :, None] > rows).float()
        return 1 - dark.flatten(1, 2)[:, None]

    def quantised(self, x: Tensor, bounds: Bounds) -> Tensor:
        low, high = bounds
        return ((x - low) / (high - low) * STEPS).round() / STEPS * (high - low) + low

    def extent(self, shape: Shape) -> Extent:
        places = shape[1] / SAMPLES
        return Extent(places, places * shape[0], places)


class CutBank(InputBank):
    """x (1 - m) + m p, with one number m a sample; its size is the sum of m, in samples."""

    family = "toy cut"
    step_size = 0.2

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        faint = math.log(0.15 / 0.85)
        noise = torch.randn(count, 1, *shape[1:], generator=generator)
        self.mask_logit = nn.Parameter(faint + 0.1 * noise)
        self.level_logit = nn.Parameter(0.5 * torch.randn(count, *shape, generator=generator))

    def apply_to(self, x: Tensor) -> Tensor:
        return x + (self._levels()[:, None] - x) * self.mask_logit.sigmoid()[:, None]

    def sizes(self) -> Tensor:
        return self.mask_logit.sigmoid().flatten(1).sum(1)

    def export(self, index: int) -> Trigger:
        mask = self.mask_logit[index].sigmoid().detach().clone()
        levels = self._levels()[index].detach().clone()
        return Stamp(self.family, mask, levels, "replace", self.bounds)

    def place(self, index: int, trigger: Trigger) -> None:
        assert isinstance(trigger, Stamp)
        levels = (trigger.pattern - self.bounds[0]) / self.width
        with torch.no_grad():
            self.mask_logit[index] = trigger.mask.logit(0.005)
            self.level_logit[index] = levels.logit(0.005)

    def _levels(self) -> Tensor:
        return self.bounds[0] + self.width * self.level_logit.sigmoid()


SIGNALS = Signals()
CUT = Family(
    name=CutBank.family,
    unit="samples",
    make=AtInput(CutBank),
    effort=Effort(4, Schedule(steps=120, batch=4, weight=0.02)),
    spaces=frozenset({SIGNALS.name}),
    growth=as_area,
    null=Null(natural=6.0, ceiling=40.0, location=0.2, scale=0.15),
)


class MoreSignals(Signals):
    """Another space for the same shapes."""

    name = "toy traces"


TRACES = MoreSignals()
