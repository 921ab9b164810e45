"""The JSON document of an inspection."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from undoor.render.documents.parts import (
    Count,
    Fraction,
    Interval,
    Part,
    Sha256,
)
from undoor.vocabulary import Output


class NamedGlobal(Part):
    """A name that a pickle imports."""

    name: str
    opcode: str = Field(description="Of the pickle machine, where it is first named.")


class InspectedFile(Part):
    """One file of a model."""

    path: str
    format: str | None = Field(description="By its content; null where it is unknown.")
    size: Count | None
    sha256: Sha256 | None
    safe: bool
    globals: list[NamedGlobal]
    problems: list[str] = Field(description="What keeps it from being opened.")
    whole_module: bool
    runs: bool = Field(description="Python code that opening the model would run.")


class ClassifierFacts(Part):
    """What the model takes and gives; it sees (x * scale - mean) / std."""

    input_shape: list[Annotated[int, Field(gt=0)]]
    bounds: tuple[float, float]
    scale: float
    mean: list[float]
    std: list[float]
    output: Output
    class_names: list[str]


class CorrectableSite(Part):
    """A place where a correction can stand, and the shape of its activations."""

    name: str
    shape: list[Count]


class GraphFinding(Part):
    """Something between input and class scores that ordinary layers do not have."""

    code: str
    where: str = Field(description="Module, and source line where known.")
    what: str = Field(description="Operator or name.")
    count: Count = Field(description="How many places are alike.")
    sentence: str


class Disagreement(Part):
    """Predictions, or gradients, that depend on how the network is run."""

    code: str
    sentence: str


class Network(Part):
    """The network as it is executed."""

    name: str
    parameters: Count
    layers: dict[str, Count]
    sites: list[CorrectableSite]
    reused: list[str] = Field(description="Modules that run more than once in a pass.")
    unused: list[str] = Field(description="Modules with parameters that never run.")
    graph: list[GraphFinding]
    disagreements: list[Disagreement]
    warnings: list[str]


class Checkpoint(Part):
    """Tensors without an architecture, and what they suggest."""

    tensors: dict[str, list[Count]]
    parameters: Count
    classes: Count | None
    channels: Count | None
    not_finite: list[str]


class DryRun(Part):
    """One pass over clean inputs, fed as described and in other common ways."""

    images: Count
    accuracy: Fraction | None
    accuracy_interval: Interval
    fed_otherwise: dict[str, Fraction]
    better: str | None = Field(description="The way that does clearly better.")
    predicted: list[Fraction]
    present: list[Fraction]
    warnings: list[str]


class RunFile(Part):
    """A Python file that opening the model could run."""

    path: str
    sha256: Sha256


class NamedCode(Part):
    """Python code that a file of the model names as its architecture."""

    architecture: str
    trusted: bool = Field(description="Whether the user trusts it, so that it was run.")
    files: list[RunFile]


class Inspection(Part):
    """The output of `undoor inspect --json`."""

    schema_: Literal["undoor/inspection/2"] = Field(alias="schema")
    safe: bool = Field(
        description="Every file may be opened, and no code would run that is not trusted."
    )
    opened: bool = Field(description="The model was opened, or a bare checkpoint's tensors were.")
    problem: str | None = Field(description="Why it was not opened; null where it was.")
    warnings: list[str]
    files: list[InspectedFile]
    model_sha256: Sha256 | None
    code: NamedCode | None
    contract: ClassifierFacts | None
    network: Network | None
    checkpoint: Checkpoint | None
    dry_run: DryRun | None
