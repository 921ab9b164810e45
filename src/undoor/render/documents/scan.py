"""What the JSON of a scan holds, as a type of which a JSON Schema is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from undoor.render.documents.parts import ClassNumber, Count, Fraction, Part, Seconds, Sha256
from undoor.render.documents.reason import Reason
from undoor.vocabulary import Cause, Verdict


class Target(Part):
    """A suspected target class and the smallest trigger that leads there."""

    target: ClassNumber
    sources: list[ClassNumber] = Field(description="The classes whose inputs the trigger moves.")
    family: str = Field(description="Kind of trigger, for example patch.")
    p_value: Fraction = Field(description="How often a clean model looks like this.")
    p_interval: tuple[Fraction, Fraction] | None = Field(
        description="Interval of 90 %: p was learned from some tens of models. Null where unknown."
    )
    score: float = Field(description="How far it stands out from the other classes; 1 is not.")
    size: Annotated[float, Field(ge=0)] = Field(description="In the family's own unit.")
    asr_on_clean_set: Fraction = Field(description="Share of held-out clean inputs it moves.")
    margin: float | None = Field(
        description="Of the clearest trigger of one size, in margins of clean inputs. Null where "
        "the smallest trigger stood out."
    )
    outcome: tuple[float, float] | None = Field(
        default=None,
        description="Of a predicted number: its median with the trigger, and the distance from it "
        "within which nine in ten predictions lie.",
    )


class Evidence(Part):
    """How easily one class is reached, or left, by one family of triggers."""

    target: ClassNumber | None = Field(description="Null where inputs go to several classes.")
    family: str
    size: Annotated[float, Field(ge=0)] | None = Field(description="Null where none worked.")
    score: float
    p_value: Fraction
    asr: Fraction | None
    source: ClassNumber | None = Field(description="Null for all other classes.")
    margin: float | None = Field(description="Null where the smallest trigger was searched for.")


class SourceFile(Part):
    """A file of Python that the network is made of and no installed package brings."""

    name: str = Field(description="Without its folder; empty where there was no file.")
    sha256: Sha256


class Resized(Part):
    """How pictures of other sizes become inputs."""

    size: tuple[Count, Count] = Field(description="Height and width of the result.")
    first: tuple[Count, Count] | Count | None = Field(
        description="What is resized to before the centre is cut out; null for straight to size."
    )
    resample: str


class Preprocessing(Part):
    """The preprocessing of a picture before the network sees it."""

    input_shape: list[Count]
    bounds: tuple[float, float]
    scale: float
    mean: list[float]
    std: list[float]
    output: Literal["logits", "probabilities"]
    resizing: Resized | None


class Probe(Part):
    """Predictions on eight fixed inputs."""

    logits: list[list[float | None]] = Field(
        description="At most 64 classes, evenly spread; null for what is not finite."
    )


class Model(Part):
    """The model that a result belongs to, field by field."""

    sha256: Sha256 | None = Field(
        description="Over hashes and preprocessing; null where the weights alone are known."
    )
    weights_sha256: Sha256 | None = Field(
        description="Over every weight and the input transform alone."
    )
    structure_sha256: Sha256 | None = Field(description="Over the modules and their settings.")
    graph_sha256: Sha256 | None = Field(description="Of the .pt2, ONNX or TorchScript file.")
    call_sha256: Sha256 | None = Field(
        description="Of name and arguments of the callable that built the network."
    )
    code_sha256: Sha256 | None = Field(description="Over the hashes in code.")
    code: list[SourceFile]
    preprocessing: Preprocessing | None
    probe: Probe | None


class FamilyCoverage(Part):
    """How far one trigger family was searched."""

    family: str
    searched: bool = Field(description="At least in part.")
    code: str | None = Field(description="Why not, or not to the end; null where it was.")
    reported_below: Annotated[float, Field(ge=0)] | None = Field(
        description="The size below which a trigger would have been reported; null if not known."
    )
    alarm: Annotated[float, Field(ge=0)] | None = Field(
        description="The score from which on a class would have been reported; null if not known."
    )
    has_null: bool = Field(description="Whether natural sizes of its triggers are known.")


class Gap(Part):
    """One gap of the verdict."""

    code: str
    families: list[str]
    found: list[float]
    expected: list[float]


class Calibrated(Part):
    """Whether the statistics were learned on such models."""

    network: bool
    space: bool
    size: bool
    task: bool
    classes: bool


class Coverage(Part):
    """The coverage behind the verdict; null or empty in older scans."""

    families: list[FamilyCoverage]
    network: str | None = Field(description="Its kind.")
    space: str | None = Field(description="What an input is.")
    task: str | None = Field(description="What an output means.")
    shape: list[Count] = Field(description="Of one input.")
    classes: Count | None
    calibrated: Calibrated | None
    gaps: list[Gap]
    accepted: bool = Field(description="Whether the user accepted the gaps that can be accepted.")
    decisive: bool = Field(description="Whether the verdict would be another but for the gaps.")


class Circumstances(Part):
    """Options, software, machine and data of a scan; null in older scans."""

    alpha: Fraction | None
    max_passes: Count | None
    max_seconds: Seconds | None
    accept_graph: bool | None
    accept_coverage: str | None
    undoor: str | None
    torch: str | None
    python: str | None
    machine: str | None = Field(description="Kind of processor.")
    arithmetic: str | None
    calibration_sha256: Sha256 | None = Field(
        default=None, description="Of what natural triggers look like."
    )
    samples_sha256: Sha256 | None = Field(description="Over samples and labels, in any order.")
    per_class: list[Count] = Field(description="Clean inputs used of each class.")
    targets: list[Count] = Field(
        default=[], description="The classes asked for as targets; empty for all."
    )


class Scan(Part):
    """The result of `undoor scan`: scan.json, and the output of `undoor scan --json`."""

    schema_: Literal["undoor/scan/6"] = Field(alias="schema")
    verdict: Verdict
    reasons: list[Reason]
    targets: list[Target]
    evidence: list[Evidence]
    coverage: Coverage
    class_names: list[str]
    model_sha256: Sha256 = Field(description="Over all that the predictions depend on.")
    model: Model
    images: Count = Field(description="Clean inputs used.")
    seed: int
    seconds: Seconds
    passes: Count = Field(description="Inputs that went forward and backward.")
    device: str | None = Field(
        default=None, description="Type and name of what the scan ran on, such as cpu."
    )
    goals: dict[str, float] = Field(
        default={},
        description="What the goals of the task are, where they follow from the clean inputs.",
    )
    causes: list[Cause] = Field(description="Why there is no verdict, where the cause is known.")
    date: str | None = Field(description="When the scan ended, in UTC.")
    circumstances: Circumstances
