"""Generator triggers: a small network that draws another perturbation for every input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.triggers.bank import InputBank
from undoor.triggers.trigger import Arrays, Trigger, require_shape, required, text

WIDTH = 6
KERNEL = 5


@dataclass(frozen=True, eq=False)
class Generator(Trigger):
    """x + g(x), where g is three 5 x 5 convolutions with ReLUs between them.

    first, middle, last : their weights [6, C, 5, 5], [6, 6, 5, 5] and [C, 6, 5, 5].
    first_bias, middle_bias : [6].
    """

    family: str
    bounds: tuple[float, float]
    first: Tensor
    first_bias: Tensor
    middle: Tensor
    middle_bias: Tensor
    last: Tensor

    kind = "generator"

    def __call__(self, x: Tensor) -> Tensor:
        parts = (getattr(self, name)[None] for name in _NAMES)
        drawn = perturbations(x[None], self.bounds, *parts)[0]
        return (x + drawn).clamp(*self.bounds)

    def arrays(self) -> Arrays:
        return {name: getattr(self, name).numpy() for name in _NAMES}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Generator:
        parts = required(arrays, *_NAMES)
        for name, part, expected in zip(_NAMES, parts, _shapes(shape[0]), strict=True):
            require_shape(name, part, *expected)
        return cls(text(arrays, "family"), bounds, *parts)


class GeneratorBank(InputBank):
    """Triggers that depend on the input (Nguyen and Tran, NeurIPS 2020, arXiv 2010.08138); the size
    is the mean l2 norm of the perturbations of the last images, in units of the bounds' width."""

    family = "generator"
    unit = "mean l2 norm"
    step_size = 0.015
    # Free to draw, it makes anything look like any class.
    barred = True

    def start(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> None:

        def weights(outputs: int, inputs: int, scale: float) -> nn.Parameter:
            sides = (count, outputs, inputs, KERNEL, KERNEL)
            spread = scale / math.sqrt(inputs * KERNEL**2)
            return nn.Parameter(spread * torch.randn(*sides, generator=generator))

        def biases() -> nn.Parameter:
            return nn.Parameter(0.1 * torch.randn(count, WIDTH, generator=generator))

        self.first, self.first_bias = weights(WIDTH, shape[0], 1.0), biases()
        self.middle, self.middle_bias = weights(WIDTH, WIDTH, 1.0), biases()
        self.last = weights(shape[0], WIDTH, 0.1)
        self._sizes = torch.zeros(count)

    def apply_to(self, x: Tensor) -> Tensor:
        drawn = perturbations(x, self.bounds, *self._parts())
        # The root has no gradient at zero.
        norms = drawn.float().flatten(2).square().sum(2).add(1e-12).sqrt()
        self._sizes = norms.mean(1) / self.width
        return x + drawn

    def sizes(self) -> Tensor:
        return self._sizes

    def export(self, index: int) -> Trigger:
        parts = (part[index].detach().clone() for part in self._parts())
        return Generator(self.family, self.bounds, *parts)

    def place(self, index: int, trigger: Trigger) -> None:
        assert isinstance(trigger, Generator)
        with torch.no_grad():
            for name in _NAMES:
                getattr(self, name)[index] = getattr(trigger, name)

    def _parts(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, name) for name in _NAMES)


_NAMES = ("first", "first_bias", "middle", "middle_bias", "last")


def _shapes(channels: int) -> tuple[tuple[int, ...], ...]:
    square = (KERNEL, KERNEL)
    return (
        (WIDTH, channels, *square),
        (WIDTH,),
        (WIDTH, WIDTH, *square),
        (WIDTH,),
        (channels, WIDTH, *square),
    )


def perturbations(
    x: Tensor,
    bounds: tuple[float, float],
    first: Tensor,
    first_bias: Tensor,
    middle: Tensor,
    middle_bias: Tensor,
    last: Tensor,
) -> Tensor:
    """What M generators draw for inputs [M, n, C, H, W]: a group of channels each."""
    count, images, _, *sides = x.shape
    width = bounds[1] - bounds[0]
    z = 2 * (x - bounds[0]) / width - 1
    z = z.transpose(0, 1).flatten(1, 2)
    for weight, bias in ((first, first_bias), (middle, middle_bias)):
        z = F.conv2d(z, weight.flatten(0, 1), bias.flatten(), padding="same", groups=count).relu()
    z = F.conv2d(z, last.flatten(0, 1), padding="same", groups=count)
    return width * z.view(images, count, -1, *sides).transpose(0, 1)
