"""Frequency triggers: waves of a narrow band added to every input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.additive import ADDITIVE
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.growth import as_norm
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.images import IMAGES
from undoor.triggers import Stamp, Trigger

START = 0.02
# Waves per image along either side: the most that a smooth pattern may have.
LOW = 4
# A band around a wave reaches this many waves per image to every side.
REACH = 1
# Waves per image along either side, and the amplitude of a probe in units of the bounds' width: of
# the strength that sinusoidal triggers have (20 / 255 in arXiv 1902.11237).
HIGHEST = 8
AMPLITUDE = 0.08


class FrequencyBank(InputBank):
    """x + d, where d has few Fourier coefficients: the low ones, or those around one wave.

    Finds smooth patterns (arXiv 2104.03413) and sinusoids (arXiv 1902.11237): confined to their
    band, the patterns that move any network must be far larger than a planted one. The
    size is the l2 norm of d, in units of the bounds' width.
    """

    family = "frequency"
    step_size = 0.02

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""
        channels, height, width = shape
        self.sides = (height, width)
        down = torch.fft.fftfreq(height, 1 / height, device=CPU)[:, None].abs()
        right = torch.fft.rfftfreq(width, 1 / width, device=CPU)[None].abs()
        low = ((down <= LOW) & (right <= LOW) & (down + right > 0)).float()
        self.coefficients = nn.Parameter(
            START
            * torch.randn(
                count, 2, channels, height, width // 2 + 1, generator=generator, device=CPU
            )
        )
        band = low.expand(count, 1, 1, -1, -1).clone()
        # Not learned, but different for each candidate.
        self.band = nn.Parameter(band, requires_grad=False)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return inputs x [M, n, C, H, W] with the patterns added."""
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
        spectrum = torch.fft.rfft2(trigger.pattern / self.width, norm="ortho")
        strength = spectrum.abs().square().sum(0)
        present = (strength > 0.01 * strength.max()).float()
        with torch.no_grad():
            self.coefficients[index] = torch.stack([spectrum.real, spectrum.imag])
            self.band[index] = _widened(present)

    def _patterns(self) -> Tensor:
        """[M, C, H, W], for bounds of width 1."""
        real, imaginary = (self.coefficients * self.band).unbind(1)
        spectrum = torch.complex(real, imaginary)
        return torch.fft.irfft2(spectrum, s=self.sides, norm="ortho")


def _widened(present: Tensor) -> Tensor:
    """Return the frequencies [H, W / 2 + 1] at most `REACH` from one present; axes are rings."""
    out = present
    for axis in (0, 1):
        for step in range(1, REACH + 1):
            out = out.maximum(present.roll(step, axis)).maximum(present.roll(-step, axis))
        present = out
    return out


def waves(shape: tuple[int, ...], bounds: tuple[float, float]) -> list[Stamp]:
    """Return sinusoids of all directions, of two phases each, the same on all channels."""
    _, height, width = shape
    middles = ((torch.arange(side, device=CPU) + 0.5) / side for side in (height, width))
    down, right = torch.meshgrid(*middles, indexing="ij")
    out = []
    for rows in range(-HIGHEST, HIGHEST + 1):
        for columns in range(HIGHEST + 1):
            if columns == 0 and rows <= 0:
                continue
            for phase in (0.0, math.pi / 2):
                wave = torch.sin(2 * math.pi * (columns * right + rows * down) + phase)
                pattern = (bounds[1] - bounds[0]) * AMPLITUDE * wave.expand(shape)
                mask = torch.zeros(1, height, width, device=CPU)
                out.append(Stamp(FrequencyBank.family, mask, pattern.contiguous(), "add", bounds))
    return out


FREQUENCY = Family(
    name=FrequencyBank.family,
    unit="l2 norm",
    make=AtInput(FrequencyBank),
    effort=Effort(1, Schedule(steps=60, batch=4, success=0.8, weight=0.3)),
    growth=as_norm,
    probes=waves,
    # Waves are additive patterns, of which that family finds the better ones unless a wave is what
    # was found: beside both, they make corrections worse.
    covered_by=ADDITIVE,
    on_request=frozenset({IMAGES.name}),
    uncalibrated=True,
)

FREQUENCY_MARGIN = FREQUENCY.at_one_size(
    "frequency margin",
    AtSize(size=5.0, probes=3, steps=20, relative=0.75),
    covered_by=None,
)
