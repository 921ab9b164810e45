"""What the JSON documents of several commands are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Interval = Annotated[
    tuple[Fraction, Fraction] | None, Field(description="95 %; null where nothing was counted.")
]
Count = Annotated[int, Field(ge=0)]
ClassNumber = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Part(BaseModel):
    """A closed object that nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
