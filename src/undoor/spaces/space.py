"""The form of a space: all that the rest of undoor knows of what an input is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from undoor.device import CPU
from undoor.resizing import Resizing

Shape = tuple[int, ...]
Bounds = tuple[float, float]
# So far beyond the bounds, as a share of their range, an input counts as within them: resizing
# overshoots at edges by as much. Values of another scale or normalised ones lie further out.
OVERSHOOT = 0.05
STEPS = 255


@dataclass(frozen=True)
class Extent:
    """How large an input is beside those that natural trigger sizes were learned on.

    Attributes
    ----------
    places
        How many times as many places (pixels, samples, points) it has.
    values
        How many times as many numbers.
    side
        How many times as long it is in one direction.
    """

    places: float = 1.0
    values: float = 1.0
    side: float = 1.0


class Space(ABC):
    """A kind of inputs. It holds no state: one instance serves all models.

    A new space names itself and writes `applies_to` and `picture`; the rest fits numbers between
    bounds, and is overridden where inputs are something else, such as the ids of tokens. Which
    trigger families apply is said by these (`undoor.families.family.Family.spaces`).

    Attributes
    ----------
    name
        Under which families, files and messages speak of it.
    calibrated
        Whether the families' nulls were learned on such inputs. Elsewhere only the other goals of
        the same model say how small a trigger is.
    maps
        Whether an input is a map [C, H, W] of places in two directions.
    """

    name: ClassVar[str]
    calibrated: ClassVar[bool] = False
    maps: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"<space {self.name}>"

    @abstractmethod
    def applies_to(self, shape: Shape) -> bool:
        """Return whether an input of this shape, without the batch axis, can be one of the
        space.
        """

    def recognises(self, shape: Shape) -> bool:
        """Return whether inputs of this shape are taken for the space's where nobody names a space.

        False for a space whose shapes mean something else as a rule, which must be named.
        """
        return self.applies_to(shape)

    @abstractmethod
    def picture(self, x: Tensor) -> Tensor:
        """Inputs as pictures.

        Parameters
        ----------
        x
            [N, ...], their values brought from the bounds to [0, 1]; a mask or a pattern as well.

        Returns
        -------
        Tensor
            [N, C, H, W] in [0, 1] with one, three or any other number of channels.
        """

    def card(self, shape: Shape) -> Tensor:
        """Return one input [*shape] in [0, 1] that shows what a trigger does which is no pattern of
        its own: a ramp.
        """
        return torch.linspace(0.2, 0.8, shape[-1], device=CPU).expand(*shape)

    def at(self, shares: Tensor, bounds: Bounds) -> Tensor:
        """Return the raw inputs that lie at these shares of the range.

        Parameters
        ----------
        shares
            [N, ...] in [0, 1]: 0 is the lowest value, 1 the highest.
        bounds
            Lowest and highest raw value.
        """
        low, high = bounds
        return low + (high - low) * shares

    @final
    def examples(
        self, count: int, shape: Shape, bounds: Bounds, generator: torch.Generator
    ) -> Tensor:
        """Random valid raw inputs [count, *shape] on the CPU;

        Parameters
        ----------
        generator
            The source of chance.
        """
        return self.at(torch.rand(count, *shape, generator=generator, device=CPU), bounds)

    def within(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Return which raw inputs [N, ...] lie within the bounds, up to `OVERSHOOT`.

        NaN lies nowhere.

        It is part of exported graphs: comparisons and arithmetic alone.
        """
        low, high = bounds
        reach = OVERSHOOT * (high - low)
        return ((x >= low - reach) & (x <= high + reach)).flatten(1).all(1)

    def stored(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Raw inputs [N, ...] as they come back from a file.

        With 8 bits, each value at the nearest of 256 even steps between the bounds.
        """
        low, high = bounds
        return ((x - low) / (high - low) * STEPS).round() / STEPS * (high - low) + low

    def odd(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Inputs that are likely to throw a hidden switch.

        Each of x [M, ...] with one value at an end of the range, in turn the highest and the
        lowest.
        """
        low, high = bounds
        flat = x.clone().flatten(1)
        for place, row in enumerate(flat):
            row[place % len(row)] = high if place % 2 else low
        return flat.view_as(x)

    def extent(self, shape: Shape) -> Extent:
        """Return how large an input of this shape is.

        The reference where sizes do not grow with it.
        """
        del shape
        return Extent()

    def channels(self, shape: Shape) -> int:
        """Return how many colours an input has, by which files are read; 0 where it has none."""
        del shape
        return 0

    def resizing(self, shape: Shape) -> Resizing | None:
        """Return how pictures of other sizes become inputs of this shape, unless a model says it;
        None where no picture does.
        """
        del shape
        return None

    def matched(self, x: Tensor, shape: Shape, *, from_bytes: bool) -> tuple[Tensor, str | None]:
        """Inputs [N, ...] that were read, in the form that a model of this input shape takes.

        Nothing that it could see may be lost. What does not fit stays as it is, and is refused.

        Parameters
        ----------
        x
            As a file or an array has them.
        shape
            Of an input of the model.
        from_bytes
            Whether they were 8-bit values.

        Returns
        -------
        tuple
            The inputs, and what was changed in a few words; None for nothing.
        """
        del shape, from_bytes
        return x, None

    def misfit(self, got: Shape, wanted: Shape) -> str:
        """Return why inputs of one shape do not fit a model that takes another, and what to do."""
        return (
            f"the images have the shape {got}, the model takes {wanted}; "
            "resize them as they were when the model was trained"
        )
