"""Generator triggers: a small network that computes a perturbation for each input."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from undoor.device import array, beside
from undoor.triggers.trigger import Arrays, Trigger, require_shape, required, text

WIDTH = 6
KERNEL = 5
PARTS = ("first", "first_bias", "middle", "middle_bias", "last")


@dataclass(frozen=True, eq=False)
class Generator(Trigger):
    """x + g(x), where g is three 5 x 5 convolutions with ReLUs between them.

    Attributes
    ----------
    first, middle, last
        Weights of the convolutions: [6, C, 5, 5], [6, 6, 5, 5] and [C, 6, 5, 5].
    first_bias, middle_bias
        Biases of the first two convolutions, [6].
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
        """Return x + g(x), clipped to the bounds, for raw inputs x [N, C, H, W]."""
        parts = (part[None] for part in beside(x, *(getattr(self, name) for name in PARTS)))
        drawn = perturbations(x[None], self.bounds, *parts)[0]
        return (x + drawn).clamp(*self.bounds)

    def example_shape(self, side: int) -> tuple[int, ...]:
        """Return (C, side, side), with the channels of the weights."""
        return (self.first.shape[1], side, side)

    def arrays(self) -> Arrays:
        """Return the weights and biases by name."""
        return {name: array(getattr(self, name)) for name in PARTS}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, *, shape: tuple[int, ...], bounds: tuple[float, float]
    ) -> Generator:
        """Return the inverse of `arrays`; see `Trigger.from_arrays`."""
        parts = required(arrays, *PARTS)
        for name, part, expected in zip(PARTS, parts, _shapes(shape[0]), strict=True):
            require_shape(name, part, *expected)
        return cls(text(arrays, "family"), bounds, *parts)


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
    """Return the perturbations of M generators for inputs [M, n, C, H, W].

    The weights and biases of the generators are stacked along a first axis of length M.
    """
    count, images, _, *sides = x.shape
    width = bounds[1] - bounds[0]
    z = 2 * (x - bounds[0]) / width - 1
    z = z.transpose(0, 1).flatten(1, 2)
    for weight, bias in ((first, first_bias), (middle, middle_bias)):
        z = F.conv2d(z, weight.flatten(0, 1), bias.flatten(), padding="same", groups=count).relu()
    z = F.conv2d(z, last.flatten(0, 1), padding="same", groups=count)
    return width * z.view(images, count, -1, *sides).transpose(0, 1)
