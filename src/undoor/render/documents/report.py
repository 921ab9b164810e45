"""The JSON documents that hold others: those of `undoor demo` and of `--report json`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from undoor.render.documents.evaluation import Evaluation
from undoor.render.documents.parts import (
    Count,
    Part,
    Sha256,
)
from undoor.render.documents.repair import Repair
from undoor.render.documents.scan import Scan


class Demo(Part):
    """The output of `undoor demo --json`."""

    schema_: Literal["undoor/demo/1"] = Field(alias="schema")
    scan: Scan
    repair: Repair
    evaluation: Evaluation | None


class Examined(Part):
    """The model and the data, as the user named them."""

    model: str
    weights_sha256: Sha256 | None = Field(description="Of the file with the weights, if it is one.")
    network: str
    parameters: Count
    input_shape: list[Annotated[int, Field(gt=0)]]
    bounds: tuple[float, float]
    data: str


class Report(Part):
    """`--report json`: report.json, all results on one model in one document."""

    schema_: Literal["undoor/report/1"] = Field(alias="schema")
    undoor: str = Field(description="The version that wrote this.")
    examined: Examined
    scan: Scan
    repair: Repair | None
    evaluation: Evaluation | None
