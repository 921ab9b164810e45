"""The record of a trigger family: all that the rest of undoor uses of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import CPU
from undoor.errors import UndoorError
from undoor.families.at_size import AtSize
from undoor.families.bank import InputBank, TriggerBank
from undoor.families.calibration import fitted_null
from undoor.families.growth import constant
from undoor.families.null import Null
from undoor.families.schedules import Effort
from undoor.spaces.images import IMAGES
from undoor.spaces.space import Extent, Space
from undoor.tasks.task import Task
from undoor.triggers import Trigger

Moves = Literal["target", "source", "shared"]
Shape = tuple[int, ...]
Bounds = tuple[float, float]


class Maker(Protocol):
    """A function that makes candidates of a family for a classifier; see `Family.bank`."""

    def __call__(
        self, count: int, classifier: Classifier, x: Tensor, generator: torch.Generator, /
    ) -> TriggerBank:
        """Return a bank of `count` candidates."""


@dataclass(frozen=True)
class AtInput:
    """A maker of candidates that change the raw input, which need its shape and bounds alone."""

    bank: type[InputBank]

    def __call__(
        self, count: int, classifier: Classifier, _x: Tensor, generator: torch.Generator, /
    ) -> TriggerBank:
        """Return a bank of `count` candidates."""
        return self.bank(count, classifier.input_shape, classifier.bounds, generator)


@dataclass(frozen=True)
class Places:
    """Opaque places whose colours are tried before a search (`undoor.inversion`).

    Attributes
    ----------
    masks
        For an input shape (C, H, W) and the distance from one place to the next, in sides of one:
        masks [P, 1, H, W].
    keep
        How many of the best a search starts from, per class.
    effort
        Starts from noise beside them, and the schedule of all.
    spaces
        What inputs must be to have such places.
    """

    masks: Callable[[Shape, float], Tensor]
    keep: int
    effort: Effort
    spaces: frozenset[str] = frozenset({IMAGES.name})


@dataclass(frozen=True)
class InRepair:
    """What corrections for a finding of the family are fitted on, and how.

    Attributes
    ----------
    alone
        Whether estimates of other families make its corrections worse, so that none is used.
    control
        Whether corrections must hold against estimates of this family where no family but the
        finding's shows the backdoor.
    strengthened
        Whether its estimates are each the smallest that works, so that corrections are fitted on
        stronger ones where they disagree (`undoor.align.strengthened`); its triggers are stamps.
    in_turn
        Whether corrections are fitted on all its estimates in turn, not on the first: each shows
        another part of the trigger.
    fit
        The fit that suits it by default; None for that of `undoor.repair`.
    """

    alone: bool = False
    control: bool = False
    strengthened: bool = False
    in_turn: bool = False
    fit: str | None = None


@dataclass(frozen=True, eq=False)
class Family:
    """A trigger family. Nothing outside of its file names it.

    Attributes
    ----------
    name
        In reports, files and messages.
    unit
        What its sizes are measured in.
    make
        Makes candidates, as `AtInput` does.
    effort
        What the first search of few classes gets; those for many and the last ones follow from it.
    at_size
        How the largest margin at a fixed size is searched for, in the place of the smallest
        trigger, with which only findings end. None for families that search for the smallest.
    made_of
        Of a family with `at_size`: the one whose smallest triggers, stamps, it makes opaque and
        measures, and searches for nothing itself (`undoor.inversion.opaque`); it is searched in
        every network that this one is searched in, and after it.
    cells
        Of a family with `at_size`: the cells of rows that a search tries, for a classifier and
        clean rows [N, D], as (column, value), instead of going by gradients.
    tokens
        Of a family with `at_size`: whether tokens that are put into texts are searched
        (`undoor.inversion.token_search`), instead of going by gradients alone.
    relatives
        Of a family whose triggers are found by trying alone, and never made smaller or better by an
        optimiser: further triggers that a finding stands for, as the same words at other places.
    spaces
        The names of the spaces (`undoor.spaces`) of inputs that it applies to.
    growth
        By what natural sizes grow from 3 x 32 x 32 pixels to a larger input
        (`undoor.families.growth`).
    null
        What natural triggers look like (`undoor.families.calibration`); None: as fitted under this
        name in ``calibration.toml``.
    uncalibrated
        Whether no null was fitted. Such a family is searched and reported, but has no
        p-value, and no model in which it was searched is called clean.
    moves
        "target": images of all other classes to a target. "source": images of one class to wherever
        they go. "shared": images of all classes, by one trigger.
    at_input
        Whether the raw input is changed, so that a trigger can be seen.
    barred
        Whether candidates are so free that the scan projects out the target's natural direction
        (`undoor.inversion.class_directions`).
    crowds
        Whether unnaturally small triggers of many classes at once indicate several backdoors.
    on_request
        The names of the spaces in which it is not searched for every class, but only in the place
        of another family, or for what another one found.
    missing
        Why it cannot be searched in a network: a code of `undoor.vocabulary`, or a sentence;
        `SAME_SITE` where another family of this kind is searched in its place; None where it can.
        None for families that always can.
    places, probes
        Where searches start beside noise: at opaque places, or from those of these triggers for a
        shape and bounds that move most to the target.
    searched_as
        The family whose candidates it has; its own where there is none.
    beside
        For a "shared" one, the family of sources beside whose sizes its size is judged.
    stand_in
        A family at the input that is shown in its place, where it does the same with a faint
        perturbation.
    faint
        Of a stand-in, up to which size at 3 x 32 x 32 pixels a perturbation is faint.
    covered_by
        A family of more general triggers, which finds the better ones unless this one is the
        finding's: where both see a backdoor, corrections are not fitted on this one.
    reaches_any
        Whether it moves inputs of any network to any class.
    smallest
        The smallest size that a trigger can have, as one pixel has: a search that would report
        smaller ones alone is not informative. None where there is none.
    in_repair
        How its findings are corrected.
    """

    name: str
    unit: str
    make: Maker
    effort: Effort
    at_size: AtSize | None = None
    made_of: Family | None = None
    cells: Callable[[Classifier, Tensor], Sequence[tuple[int, float]]] | None = None
    tokens: bool = False
    relatives: Callable[[Trigger], Sequence[Trigger]] | None = None
    spaces: frozenset[str] = frozenset({IMAGES.name})
    growth: Callable[[Extent], float] = constant
    null: Null | None = None
    uncalibrated: bool = False
    moves: Moves = "target"
    at_input: bool = True
    barred: bool = False
    crowds: bool = True
    on_request: frozenset[str] = frozenset()
    missing: Callable[[Classifier], str | None] | None = None
    places: Places | None = None
    probes: Callable[[Shape, Bounds], Sequence[Trigger]] | None = None
    searched_as: Family | None = None
    beside: Family | None = None
    stand_in: Family | None = None
    faint: float | None = None
    covered_by: Family | None = None
    reaches_any: bool = False
    smallest: float | None = None
    in_repair: InRepair = field(default_factory=InRepair)

    def __post_init__(self) -> None:
        """Refuse a record that would fail only in the middle of a scan.

        Raises
        ------
        UndoorError
            There is no fitted null, or what its kind of family needs is missing.
        """
        if self.null is None and not self.uncalibrated:
            object.__setattr__(self, "null", fitted_null(self.name))
        if self.moves == "shared" and (self.beside is None or self.beside.moves != "source"):
            raise UndoorError(
                f"expected `beside` of the trigger family {self.name!r}, which is shared by all "
                "classes, to be a family of sources, beside which its size is judged"
            )
        if self.stand_in is not None and self.stand_in.faint is None:
            raise UndoorError(
                f"expected `faint` of the trigger family {self.stand_in.name!r}, which stands in "
                f"for {self.name!r}: the size up to which it does"
            )

    def bank(
        self, count: int, classifier: Classifier, x: Tensor, generator: torch.Generator
    ) -> TriggerBank:
        """Make candidates on the CPU, where they can be placed before they are moved and optimised.

        Parameters
        ----------
        count
            How many.
        classifier
            The model that they are for.
        x
            Clean inputs [N, ...], from which a family may learn what is usual.
        generator
            The source of chance, on the CPU.

        Raises
        ------
        UndoorError
            The candidates are of another family.
        """
        bank = self.make(count, classifier, x, generator)
        if bank.family != self.candidates.name:
            raise UndoorError(
                f"expected candidates of the trigger family {self.candidates.name!r}, got some of "
                f"{bank.family!r}; give the bank the name of its record"
            )
        return bank.to(CPU)

    @property
    def candidates(self) -> Family:
        """The family under whose name candidates are known."""
        return self.searched_as or self

    def applies_to(self, space: Space) -> bool:
        """Return whether the family applies to inputs of this space."""
        return space.name in self.spaces

    def at_one_size(self, name: str, plan: AtSize, **changes: Any) -> Family:
        """Return the family of the same triggers that looks for the clearest one of one size.

        Parameters
        ----------
        name
            Of the new family, which needs a null of its own.
        plan
            The size, and how it is searched.
        changes
            Fields that differ further.
        """
        usual: dict[str, Any] = {
            "name": name,
            "null": None,
            "uncalibrated": False,
            "on_request": frozenset(),
            "at_size": plan,
            "searched_as": self,
            "in_repair": InRepair(),
        }
        return replace(self, **(usual | changes))

    def searched_in(self, space: Space, task: Task) -> bool:
        """Return whether it is searched for every class of a network of this space and task."""
        asked = self.moves == "target" and self.made_of is None and self.at_size is not None
        if task.at_one_size and not asked:
            return False
        return self.applies_to(space) and space.name not in self.on_request

    def why_missing(self, classifier: Classifier) -> str | None:
        """Return why it cannot be searched in a network, as of `missing`; None where it can."""
        return None if self.missing is None else self.missing(classifier)

    def places_in(self, space: Space) -> Places | None:
        """Return the places to start from in inputs of this space; None where there are none."""
        places = self.places
        return places if places and space.name in places.spaces else None
