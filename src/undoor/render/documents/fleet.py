"""The JSON document of a fleet: fleet.json, and the output of `undoor fleet --json`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from undoor.fleet.entry import State
from undoor.fleet.job import Verb
from undoor.render.documents.parts import ClassNumber, Count, Fraction, Part, Sha256
from undoor.vocabulary import Cause, Verdict


class FleetTarget(Part):
    """A suspected target class of one model."""

    target: ClassNumber
    class_name: str
    family: str
    p_value: Fraction
    asr: Fraction = Field(description="Share of held-out clean inputs that the trigger moves.")
    repaired_asr: Fraction | None = Field(description="With the repair; null without one.")
    repaired_sia: Fraction | None


class FleetProblem(Part):
    """Why there is no result."""

    message: str
    what_to_do: str


class FleetModel(Part):
    """One model of a fleet."""

    name: str = Field(description="Unlike that of every other model.")
    model: str
    data: str
    state: State
    exit_code: Annotated[int, Field(ge=0)] | None = Field(
        description="Of the command that examined it; null before it ended."
    )
    verdict: Verdict | None
    targets: list[FleetTarget]
    reasons: list[str]
    causes: list[Cause] = Field(description="Why there is no verdict, where the cause is known.")
    problem: FleetProblem | None = Field(description="Null where there is a result.")
    key: Sha256 | None = Field(description="Over all that the result depends on.")
    model_sha256: Sha256 | None
    folder: str | None = Field(description="Of the result, below that of the fleet.")


class FleetCounts(Part):
    """How many models have each verdict, and how many none."""

    backdoored: Count
    inconclusive: Count
    clean: Count
    failed: Count
    running: Count
    waiting: Count


class Fleet(Part):
    """The result of a fleet; it holds no times, and is the same from run to run."""

    schema_: Literal["undoor/fleet/1"] = Field(alias="schema")
    undoor: str = Field(description="The version that wrote this.")
    command: Verb = Field(description="What examined each model.")
    exit_code: Annotated[int, Field(ge=0)] | None = Field(
        description="That of the worst model; null while models wait."
    )
    counts: FleetCounts
    models: list[FleetModel]
