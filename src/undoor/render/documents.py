"""What the JSON of every command holds, as types of which JSON Schemas are made.

A document is closed: a key that is not described here is a mistake. The number at the end of its
`schema` changes when a key changes its meaning or goes away.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from undoor.errors import UndoorError
from undoor.render.document_parts import (
    ClassNumber,
    Count,
    Fraction,
    Interval,
    Part,
    Seconds,
    Sha256,
)
from undoor.render.scan_document import Scan
from undoor.vocabulary import Output, Policy, Verdict

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class ScoreSummary(Part):
    """Scores in a few numbers."""

    n: Count
    min: float
    q05: float
    median: float
    q95: float
    max: float
    mean: float
    std: float


class Scores(Part):
    """The scores that a threshold was set on; null where there are none."""

    clean: ScoreSummary | None
    triggered: ScoreSummary | None


class Calibration(Part):
    """What the guard's threshold was set on, and what that can promise."""

    wanted_fpr: Fraction
    n: Count
    flagged: Fraction | None
    flagged_interval: Interval
    resolution: Fraction
    attainable: bool = Field(description="Whether `n` scores can promise `wanted_fpr`.")
    needed: Count = Field(description="How many scores can.")
    scores: Scores | None = Field(default=None, description="Not of repairs that do not say.")


class Trial(Part):
    """A plan of corrections that cross-validation compared."""

    name: str
    sia: Fraction | None
    fpr: Fraction
    score: float


class Adaptation(Part):
    """What became of inputs seen in operation."""

    seen: Count
    flagged: Count
    needed: Count
    missed: Fraction | None
    fitted: Count
    refitted: bool


class RepairedTarget(Part):
    """The corrections for one target; rates are cross-validated with the recovered trigger."""

    target: ClassNumber
    sources: list[ClassNumber]
    threshold: float = Field(
        description="Score above which inputs are flagged: how much less than three quarters of "
        "the target's lead the corrections leave"
    )
    calibration: Calibration
    chosen: str = Field(description="The trial that won.")
    asr: Fraction
    sia: Fraction | None
    fpr: Fraction
    trials: list[Trial]
    adapted: Adaptation | None
    quick: bool = Field(description="Made with the scan's trigger alone and no choice of a plan.")


class Site(Part):
    """A place in the network that is corrected."""

    target: ClassNumber
    name: str
    extent: Count = Field(description="Longer side of its map.")
    granularity: str
    moved: float = Field(description="Shift undone, in clean standard deviations.")


class RepairSeconds(Part):
    """What the repair took."""

    scan: Seconds
    align: Seconds


class Repair(Part):
    """What `undoor repair` made: repair.json, and the answer of `undoor repair --json`."""

    schema_: Literal["undoor/repair/3"] = Field(alias="schema")
    verdict: Verdict
    targets: list[RepairedTarget]
    sites: list[Site]
    fit: str
    model_sha256: Sha256
    repair_sha256: Sha256 = Field(description="Of repair.safetensors, which is the repair.")
    seconds: RepairSeconds


class CheckedImage(Part):
    """One input: the model's answer, the guarded model's, and whether it is flagged."""

    image: str
    model_label: ClassNumber
    model_class: str
    label: Annotated[int, Field(ge=-1)] = Field(description="-1 where the input is rejected.")
    class_: str | None = Field(alias="class", description="Null where the input is rejected.")
    flagged: bool
    rejected: bool
    score: float | None = Field(
        description="Null where the guard was not asked; the largest float32, 3.4028235e38, where "
        "the input cannot be judged: outside the bounds, or no finite number."
    )


class Check(Part):
    """The answer of `undoor check --json`."""

    schema_: Literal["undoor/check/2"] = Field(alias="schema")
    policy: Policy
    flagged: Count
    n: Count
    images: list[CheckedImage]
    skipped: list[str] = Field(description="Files that could not be read, each with the reason.")
    lost: dict[str, Count] = Field(description="How many of them are images, by kind.")
    changed: dict[str, Count] = Field(description="Images changed while they were read, by kind.")


def _rates(name: str, keys: str) -> type[Part]:
    fields: dict[str, Any] = {}
    for key in keys.split():
        fields |= {key: (Fraction | None, ...), f"{key}_interval": (Interval, ...)}
    return create_model(name, __base__=Part, **fields)


class Counted(Part):
    """How many test images there were."""

    clean: Count
    triggered: Count


class Evaluation(Part):
    """The answer of `undoor evaluate --json`: rates with the true trigger."""

    schema_: Literal["undoor/evaluation/1"] = Field(alias="schema")
    target: ClassNumber
    before: _rates("Before", "acc asr sia")  # type: ignore[valid-type]
    after: _rates("After", "acc asr sia tpr fpr fpr_target fpr_own auroc")  # type: ignore[valid-type]
    n: Counted


class Demo(Part):
    """The answer of `undoor demo --json`."""

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
    """`--report json`: report.json, all that is known of one model in one document."""

    schema_: Literal["undoor/report/1"] = Field(alias="schema")
    undoor: str = Field(description="The version that wrote this.")
    examined: Examined
    scan: Scan
    repair: Repair | None
    evaluation: Evaluation | None


class NamedGlobal(Part):
    """A name that a pickle imports."""

    name: str
    opcode: str = Field(description="Of the pickle machine, where it is first named.")


class InspectedFile(Part):
    """One file of a model."""

    path: str
    format: str | None = Field(description="By its content; null where it could not be told.")
    size: Count | None
    sha256: Sha256 | None
    safe: bool
    globals: list[NamedGlobal]
    problems: list[str] = Field(description="What keeps it from being opened.")
    whole_module: bool
    runs: bool = Field(description="Python code that opening the model would run.")


class Contract(Part):
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
    """One pass over clean images, fed as described and in other common ways."""

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
    """The answer of `undoor inspect --json`."""

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
    contract: Contract | None
    network: Network | None
    checkpoint: Checkpoint | None
    dry_run: DryRun | None


class Estimate(Part):
    """The answer of `undoor scan --estimate --json`, and of `undoor repair`."""

    schema_: Literal["undoor/estimate/1"] = Field(alias="schema")
    passes: Count = Field(description="Sample passes of scan and repair, at most.")
    scan_passes: Count
    repair_passes: Count
    seconds: Seconds
    seconds_per_pass: Seconds = Field(description="Measured on this machine.")
    memory: Count = Field(description="Bytes of the whole process.")
    notes: list[str] = Field(description="What the figures suppose.")


class Error(Part):
    """What `--json` prints where a command has no result."""

    schema_: Literal["undoor/error/1"] = Field(alias="schema")
    code: Annotated[int, Field(ge=3)] = Field(description="The exit code.")
    kind: str = Field(description="Its name: usage, failure, budget_ended or interrupted.")
    message: str
    what_to_do: str


DOCUMENTS: dict[str, type[BaseModel]] = {
    "scan": Scan,
    "repair": Repair,
    "check": Check,
    "evaluation": Evaluation,
    "demo": Demo,
    "report": Report,
    "inspection": Inspection,
    "estimate": Estimate,
    "error": Error,
}


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document, closed: unknown keys do not validate.

    Raises
    ------
    UndoorError
        There is no such document.

    Examples
    --------
    >>> json_schema("scan")["properties"]["verdict"]["enum"]
    ['backdoored', 'clean', 'inconclusive']
    """
    if name not in DOCUMENTS:
        raise UndoorError(f"expected a document, {', '.join(DOCUMENTS)}, got {name!r}")
    schema = DOCUMENTS[name].model_json_schema(by_alias=True)
    version = schema["properties"]["schema"]["const"]
    return {"$schema": DIALECT, "$id": f"urn:{version.replace('/', ':')}", **schema}
