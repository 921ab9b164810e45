"""The JSON document of an error."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from undoor.render.documents.parts import (
    Part,
)


class Error(Part):
    """The output of `--json` where a command has no result."""

    schema_: Literal["undoor/error/2"] = Field(alias="schema")
    code: Annotated[int, Field(ge=3)] = Field(description="The exit code.")
    kind: str = Field(description="Its name: usage, failure, budget_ended or interrupted.")
    message: str = Field(description="What is wrong.")
    what_to_do: str
