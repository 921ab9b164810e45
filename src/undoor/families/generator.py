"""Generator triggers: a small network that draws another perturbation for every input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from undoor.device import CPU
from undoor.families.bank import InputBank
from undoor.families.family import AtInput, Family
from undoor.families.growth import as_norm
from undoor.families.schedules import Effort, Schedule
from undoor.spaces.images import IMAGES
from undoor.triggers import Generator, Trigger
from undoor.triggers.generator import KERNEL, PARTS, WIDTH, perturbations


class GeneratorBank(InputBank):
    """Triggers that depend on the input (Nguyen and Tran, NeurIPS 2020, arXiv 2010.08138).

    The size is the mean l2 norm of the perturbations of the last images, in units of the bounds'
    width.
    """

    family = "generator"
    step_size = 0.015

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Make the parameters of `count` candidates."""

        def weights(outputs: int, inputs: int, scale: float) -> nn.Parameter:
            sides = (count, outputs, inputs, KERNEL, KERNEL)
            spread = scale / math.sqrt(inputs * KERNEL**2)
            return nn.Parameter(spread * torch.randn(*sides, generator=generator, device=CPU))

        def biases() -> nn.Parameter:
            return nn.Parameter(0.1 * torch.randn(count, WIDTH, generator=generator, device=CPU))

        self.first, self.first_bias = weights(WIDTH, shape[0], 1.0), biases()
        self.middle, self.middle_bias = weights(WIDTH, WIDTH, 1.0), biases()
        self.last = weights(shape[0], WIDTH, 0.1)
        self._sizes = torch.zeros(count, device=CPU)

    def apply_to(self, x: Tensor) -> Tensor:
        """Return inputs x [M, n, C, H, W] with the drawn perturbations added."""
        drawn = perturbations(x, self.bounds, *self._parts())
        # The root has no gradient at zero.
        norms = drawn.float().flatten(2).square().sum(2).add(1e-12).sqrt()
        self._sizes = norms.mean(1) / self.width
        return x + drawn

    def sizes(self) -> Tensor:
        """Return the mean l2 norms [M] of the last images, in units of the width of the bounds."""
        return self._sizes

    def export(self, index: int) -> Trigger:
        """Return candidate `index` as a trigger."""
        parts = (part[index].detach().clone() for part in self._parts())
        return Generator(self.family, self.bounds, *parts)

    def place(self, index: int, trigger: Trigger) -> None:
        """Let candidate `index` start from a trigger of this family."""
        assert isinstance(trigger, Generator)
        with torch.no_grad():
            for name in PARTS:
                getattr(self, name)[index] = getattr(trigger, name)

    def _parts(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, name) for name in PARTS)


GENERATOR = Family(
    name=GeneratorBank.family,
    unit="mean l2 norm",
    make=AtInput(GeneratorBank),
    effort=Effort(1, Schedule(steps=120, batch=8, success=0.8, weight=0.3)),
    growth=as_norm,
    # It costs four times as much as other families, and every backdoor that it showed so far was
    # clearer as a latent shift: it is searched only for a class with evidence from latent shifts.
    on_request=frozenset({IMAGES.name}),
    uncalibrated=True,
    # The l2 norm of a perturbation of a 3 x 32 x 32 image in [0, 1] that is still faint: about the
    # size of natural additive triggers.
    faint=8.0,
    # Free to draw, it makes anything look like any class.
    barred=True,
)
