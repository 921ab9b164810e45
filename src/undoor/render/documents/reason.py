"""The reasons of a verdict, as the JSON of a scan holds them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from undoor.render.documents.parts import ClassNumber, Count, Fraction, Part, Seconds
from undoor.scrutiny.doubt import GraphCode
from undoor.vocabulary import ReasonCode


class NoFacts(Part):
    """Of a reason that its code says completely."""


class ClassFacts(Part):
    """How one class stands out."""

    target: ClassNumber
    family: str
    size: Annotated[float, Field(ge=0)] = Field(description="In the family's own unit.")
    score: float
    p_value: Fraction = Field(description="Over all families.")
    asr: Fraction | None = Field(description="Of held-out inputs; null where not measured.")
    sources: Count | None = Field(description="How many classes the trigger moves, once confirmed.")
    margin: float | None = Field(
        default=None, description="Of a trigger of one size, where that is what stands out."
    )
    outcome: tuple[float, float] | None = Field(
        default=None,
        description="Of a predicted number: its median with the trigger, and the distance from it "
        "within which nine in ten predictions lie.",
    )


class FamilyFacts(Part):
    """A trigger family."""

    family: str


class AccuracyFacts(Part):
    """How well the model predicts the clean inputs, fed as described and in a better way."""

    accuracy: Fraction
    classes: Count
    better: str | None = Field(description="The way that does clearly better; null without one.")
    better_accuracy: Fraction | None
    chance: Fraction | None = Field(
        default=None, description="The accuracy without a look at the input; null for 1 / classes."
    )


class ShareFacts(Part):
    """A share of the clean inputs."""

    share: Fraction


class GraphFacts(Part):
    """Something between input and class scores that ordinary layers do not have."""

    code: GraphCode
    where: str
    what: str
    count: Count


class RunFacts(Part):
    """Predictions, or gradients, that depend on how the network is run."""

    code: str
    sentence: str


class SpentFacts(Part):
    """What was spent when the budget ended."""

    passes: Count
    seconds: Seconds


class UnfinishedFacts(SpentFacts):
    """What the budget did not suffice for."""

    not_searched: list[str] = Field(description="Families that were not searched.")
    cut_short: list[str] = Field(description="Families that were not searched to the end.")
    looked_again: bool = Field(description="Whether what stood out was looked at a second time.")


class TextFacts(Part):
    """A sentence of an older report, or of another package."""

    text: str


class Reason(Part):
    """One reason of a verdict."""

    code: ReasonCode
    facts: (
        NoFacts
        | ClassFacts
        | FamilyFacts
        | AccuracyFacts
        | ShareFacts
        | GraphFacts
        | RunFacts
        | SpentFacts
        | UnfinishedFacts
        | TextFacts
    ) = Field(description="Numbers and names, by the code.")
    text: str = Field(description="The same in words.")
