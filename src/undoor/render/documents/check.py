"""The JSON document of `undoor check`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from undoor.render.documents.parts import (
    ClassNumber,
    Count,
    Part,
)
from undoor.vocabulary import Policy

Bit = Annotated[int, Field(ge=0, le=1)]
# The number of a class; a number that is predicted; of a set of labels a 1 for each that is on.
Label = ClassNumber | float | list[Bit]


class CheckedImage(Part):
    """One input: the prediction of the model, that of the guarded model, and the flag."""

    image: str = Field(description="The input, whatever it is.")
    model_label: Label
    model_class: str
    label: Annotated[int, Field(ge=-1)] | float | list[Bit] | None = Field(
        description="-1 where the input is rejected; null where labels are no numbers of classes."
    )
    class_: str | None = Field(alias="class", description="Null where the input is rejected.")
    flagged: bool
    rejected: bool
    score: float | None = Field(
        description="Null where no corrected network ran; the largest float32, 3.4028235e38, where "
        "the input cannot be judged: outside the bounds, or no finite number."
    )


class Check(Part):
    """The output of `undoor check --json`."""

    schema_: Literal["undoor/check/2"] = Field(alias="schema")
    policy: Policy
    flagged: Count
    n: Count
    images: list[CheckedImage]
    skipped: list[str] = Field(description="Files that could not be read, each with the reason.")
    lost: dict[str, Count] = Field(description="How many of them are inputs, by kind.")
    changed: dict[str, Count] = Field(description="Inputs changed while they were read, by kind.")
