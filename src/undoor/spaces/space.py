"""The base class of spaces, which defines all that undoor needs to know about inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from undoor.device import CPU
from undoor.noun import INPUT, Noun
from undoor.resizing import Resizing
from undoor.vocabulary import OVERSHOOT

Shape = tuple[int, ...]
Bounds = tuple[float, float]
STEPS = 255


@dataclass(frozen=True)
class Extent:
    """The size of an input relative to those that natural trigger sizes were measured on.

    Attributes
    ----------
    places
        Ratio of the number of positions (pixels, samples, points).
    values
        Ratio of the number of values.
    side
        Ratio of the length in one direction.
    """

    places: float = 1.0
    values: float = 1.0
    side: float = 1.0


class Space(ABC):
    """A kind of inputs. It holds no state: one instance serves all models.

    A new space sets `name` and implements `applies_to` and `picture`; the other methods fit numbers
    between bounds, and are overridden for other inputs, such as token ids. Trigger families declare
    the spaces to which they apply (`undoor.families.family.Family.spaces`).

    Attributes
    ----------
    name
        The name of the space in families, files and messages.
    noun
        What an input is called in messages and reports.
    maps
        Whether an input is a map [C, H, W] with two spatial axes.
    own_families
        Whether its families at the input are its own: those of other spaces are then no gap of a
        scan in it, nor its own in other spaces.
    discrete
        Whether inputs are numbers of things, such as token ids: scores have no gradient with
        respect to them, and no correction can stand on them.
    unordered
        Whether the positions of an input, its first axis, come in any order: what holds at one of
        them says nothing about the same one of another input, so that no correction is per
        position.
    """

    name: ClassVar[str]
    noun: ClassVar[Noun] = INPUT
    maps: ClassVar[bool] = False
    own_families: ClassVar[bool] = False
    discrete: ClassVar[bool] = False
    unordered: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"<space {self.name}>"

    @abstractmethod
    def applies_to(self, shape: Shape) -> bool:
        """Return whether inputs of this shape, without the batch axis, can be of the space."""

    def recognises(self, shape: Shape) -> bool:
        """Return whether inputs of this shape belong to the space if no space is named.

        False for a space whose shapes usually mean something else; it must be named.
        """
        return self.applies_to(shape)

    @abstractmethod
    def picture(self, x: Tensor) -> Tensor:
        """Return inputs as pictures.

        Parameters
        ----------
        x
            Inputs, masks or patterns [N, ...], scaled from the bounds to [0, 1].

        Returns
        -------
        Tensor
            [N, C, H, W] in [0, 1] with any number of channels.
        """

    def picture_changed(self, x: Tensor, changed: Tensor) -> Tensor:
        """Return inputs with a trigger as pictures, its place marked where that helps to see it.

        Parameters
        ----------
        x, changed
            The inputs [N, ...] without and with the trigger, scaled from the bounds to [0, 1].

        Returns
        -------
        Tensor
            As of `picture`.
        """
        del x
        return self.picture(changed)

    def card(self, shape: Shape) -> Tensor:
        """Return a test input [*shape] in [0, 1] that shows the effect of a trigger: a ramp.

        It serves triggers that are no pattern themselves, such as a warp.
        """
        return torch.linspace(0.2, 0.8, shape[-1], device=CPU).expand(*shape)

    def at(self, shares: Tensor, bounds: Bounds) -> Tensor:
        """Return raw inputs at given shares of the range.

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
        """Return random valid raw inputs [count, *shape] on the CPU.

        Parameters
        ----------
        generator
            The source of randomness, on the CPU.
        """
        return self.at(torch.rand(count, *shape, generator=generator, device=CPU), bounds)

    def within(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Return which raw inputs [N, ...] lie within the bounds, up to `OVERSHOOT`: [N].

        Inputs with NaN do not. The method is part of exported graphs, so that it uses comparisons
        and arithmetic only.
        """
        low, high = bounds
        reach = OVERSHOOT * (high - low)
        return ((x >= low - reach) & (x <= high + reach)).flatten(1).all(1)

    def quantised(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Return raw inputs [N, ...] as they are after saving to a file and reading it.

        With 8 bits, each value is rounded to one of 256 even steps between the bounds.
        """
        low, high = bounds
        return ((x - low) / (high - low) * STEPS).round() / STEPS * (high - low) + low

    def odd(self, x: Tensor, bounds: Bounds) -> Tensor:
        """Return inputs that are likely to activate a hidden switch.

        They are the inputs x [M, ...] with one value each at an end of the range, in turn the
        lowest and the highest.
        """
        low, high = bounds
        flat = x.clone().flatten(1)
        for place, row in enumerate(flat):
            row[place % len(row)] = high if place % 2 else low
        return flat.view_as(x)

    def size(self, shape: Shape) -> str:
        """Return the size of inputs of this shape in words, for example "1 × 28 × 28"."""
        sides = " × ".join(map(str, shape))
        return f"{sides} {self.noun.units[0]}" if len(shape) == 1 else sides

    def extent(self, shape: Shape) -> Extent:
        """Return the size of an input of this shape relative to the reference.

        All ratios are 1 if trigger sizes do not depend on it.
        """
        del shape
        return Extent()

    def channels(self, shape: Shape) -> int:
        """Return the number of colour channels for reading files; 0 if inputs have none."""
        del shape
        return 0

    def resizing(self, shape: Shape) -> Resizing | None:
        """Return the default resizing of pictures to inputs of this shape, if there is one."""
        del shape
        return None

    def matched(self, x: Tensor, shape: Shape, *, from_bytes: bool) -> tuple[Tensor, str | None]:
        """Return inputs [N, ...] in the form that a model of this input shape takes.

        Nothing that the model could see may be lost. Inputs that do not fit are returned unchanged,
        and are refused later.

        Parameters
        ----------
        x
            Inputs as read from a file or an array.
        shape
            Input shape of the model.
        from_bytes
            Whether the inputs were 8-bit values.

        Returns
        -------
        tuple
            The inputs, and the change in a few words, or None if nothing was changed.
        """
        del shape, from_bytes
        return x, None

    def misfit(self, got: Shape, wanted: Shape) -> str:
        """Return why inputs of one shape do not fit a model of another, and what to do."""
        return (
            f"the {self.noun.many} have the shape {got}, the model takes {wanted}; "
            "give them as for the training of the model"
        )
