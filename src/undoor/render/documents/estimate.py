"""The JSON document of `--estimate`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from undoor.render.documents.parts import (
    Count,
    Part,
    Seconds,
)


class Estimate(Part):
    """The output of `undoor scan --estimate --json`, and of `undoor repair`."""

    schema_: Literal["undoor/estimate/1"] = Field(alias="schema")
    passes: Count = Field(description="Sample passes of scan and repair, at most.")
    scan_passes: Count
    repair_passes: Count
    seconds: Seconds
    seconds_per_pass: Seconds = Field(description="Measured on this machine just now.")
    measured_passes: Count = Field(description="How many passes that was measured over.")
    memory: Count = Field(description="Bytes of the whole process.")
    notes: list[str] = Field(description="What the figures assume.")
