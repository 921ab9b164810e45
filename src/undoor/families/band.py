"""Band triggers: a perturbation of a narrow band of frequencies over the whole signal."""

from __future__ import annotations

import math

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
# Probes, evenly spread over the frequencies, and their amplitude in units of the bounds' width.
PROBES = 64
AMPLITUDE = 0.03


class BandBank(InputBank):
    """x + d, where d has the Fourier coefficients of a narrow band alone: a hum.

    The size is the l2 norm of d, in units of the bounds' width.
    """

    family = "band"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        channels, self.length = shape
        coarse = self.length // 2 + 1
        draws = torch.randn(count, 2, channels, coarse, generator=generator, device=CPU)
        self.coefficients = nn.Parameter(START * draws)
        # Not learned, but different for each candidate: the lower half of all frequencies.
        low = (torch.arange(coarse, device=CPU) < coarse // 2).float()
        self.band = nn.Parameter(low.expand(count, 1, 1, -1).clone(), requires_grad=False)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return signals x [M, n, C, T] with the patterns added."""
        return x + self.width * self._patterns()[:, None]

    def sizes(self) -> Tensor:
        """Return the l2 norms [M], in units of the width of the bounds."""
        # The root has no gradient at zero.
        return self._patterns().flatten(1).square().sum(1).add(1e-12).sqrt()

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        pattern = self.width * self._patterns()[index].detach().clone()
        return Stamp(self.family, torch.zeros_like(pattern[:1]), pattern, "add", self.bounds)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger, with a band slightly wider than its own."""
        assert isinstance(trigger, Stamp)
        spectrum = torch.fft.rfft(trigger.pattern / self.width, norm="ortho")
        strength = spectrum.abs().square().sum(0)
        present = (strength > 0.01 * strength.max()).float()
        reach = max(1, len(present) // PROBES // 2)
        wide = nn.functional.max_pool1d(present[None, None], 2 * reach + 1, 1, reach)[0, 0]
        with torch.no_grad():
            self.coefficients[index] = torch.stack([spectrum.real, spectrum.imag])
            self.band[index] = wide

    def _patterns(self) -> Tensor:
        """[M, C, T], for bounds of width 1."""
        real, imaginary = (self.coefficients * self.band).unbind(1)
        return torch.fft.irfft(torch.complex(real, imaginary), n=self.length, norm="ortho")


def tones(shape: tuple[int, ...], bounds: tuple[float, float]) -> list[Stamp]:
    """Return tones of evenly spread frequencies over the whole signal, the same on all channels."""
    length = shape[-1]
    times = torch.arange(length, device=CPU) / length
    highest = length // 2
    out = []
    for number in sorted({max(1, round((i + 0.5) * highest / PROBES)) for i in range(PROBES)}):
        wave = torch.sin(2 * math.pi * number * times)
        pattern = (bounds[1] - bounds[0]) * AMPLITUDE * wave.expand(shape)
        mask = torch.zeros(1, length, device=CPU)
        out.append(Stamp(BandBank.family, mask, pattern.contiguous(), "add", bounds))
    return out


BAND = Family(
    name=BandBank.family,
    unit="l2 norm",
    make=AtInput(BandBank),
    effort=Effort(1, Schedule(steps=60, batch=4, weight=0.1)),
    spaces=frozenset({SIGNALS.name}),
    probes=tones,
    on_request=frozenset({SIGNALS.name}),
    uncalibrated=True,
)

BAND_MARGIN = BAND.at_one_size(
    "band margin",
    AtSize(size=0.8, starts=0, probes=3, steps=30, batch=2, spread=2.0),
    uncalibrated=True,
)
