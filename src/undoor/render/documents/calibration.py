"""The JSON document of `undoor calibrate`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from undoor.render.documents.parts import Count, Part

Positive = Annotated[float, Field(gt=0)]
Range = tuple[Count, Count]


class Null(Part):
    """The natural triggers of one family, at 3 x 32 x 32 pixels and ten classes."""

    natural: float = Field(description="Median of the smallest size, or of the largest margin.")
    ceiling: Annotated[float, Field(ge=0)] = Field(description="Larger sizes are all alike.")
    location: float = Field(description="Of the Gumbel distribution of a model's highest score.")
    scale: Positive
    weight: Positive = Field(description="Of the family in the combination.")
    least_others: Annotated[float, Field(ge=0)]
    absolute: bool = Field(description="Whether other classes do not count.")


class Agreement(Part):
    """The agreement of the families about a class without a backdoor."""

    location: float
    scale: Positive
    weight: Positive


class Lowest(Part):
    """The lowest combination of all families in a model without a backdoor."""

    threshold: Positive
    excess: Positive
    models: Count


class Scope(Part):
    """What the calibration holds for."""

    space: str
    task: str
    network: str
    sides: Range
    channels: Range
    classes: Range = Field(description="Minimum and maximum; 0 for no maximum.")


class Calibration(Part):
    """The output of `undoor calibrate --json`."""

    schema_: Literal["undoor/calibration/1"] = Field(alias="schema")
    nulls: dict[str, Null] = Field(description="By trigger family.")
    agreement: Agreement
    lowest: Lowest
    scope: Scope
    models: list[str] = Field(description="What it was learned from.")
    power: tuple[Count, Count] | None = Field(
        description="Of how many backdoored models a target is found, and of all; null for none."
    )
    unreached: list[str] = Field(description="Families none of whose triggers worked in any model.")
    file: str = Field(description="What was written.")
