"""What is served: a model's interface and what its guard promises, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from numpy.typing import NDArray

from undoor.contract import Contract
from undoor.errors import UndoorError
from undoor.output_forms.classes import Classes
from undoor.output_forms.output_form import OutputForm
from undoor.preparation import Preparation
from undoor.serve.input_form import InputForm
from undoor.vocabulary import DEFAULT_FPR, POLICIES, Policy

Array = NDArray[Any]
# The inputs of one request: as many rows, each as `ServedModel.form` says. Pixels may have several
# sizes.
Inputs: TypeAlias = Array | Sequence[Array]
AXES = 3
# Of a guard whose clean scores can promise nothing, the test needs a share below 1 all the same.
MAX_PROMISE = 0.99


@dataclass(frozen=True)
class TargetGuard:
    """What the guard of one target promises.

    Attributes
    ----------
    target
        The class.
    threshold
        The score above which an input that is predicted as it is flagged.
    promised
        The largest share, above 0 and below 1, of clean inputs predicted as the target that may be
        flagged: the requested rate or, where the clean inputs were too few to guarantee that, the
        97.5 % upper limit of the rate that they showed.
    """

    target: int
    threshold: float
    promised: float

    @staticmethod
    def of(target: int, threshold: float, calibration: Mapping[str, Any]) -> TargetGuard:
        """Return the promise of a calibration as `GuardThreshold.to_json` gives it.

        >>> TargetGuard.of(3, 0.5, {"wanted_fpr": 0.01, "flagged_interval": [0.0, 0.116]}).promised
        0.116

        Raises
        ------
        ValueError
            It promises no share.
        """
        wanted = float(calibration.get("wanted_fpr", DEFAULT_FPR))
        _, high = calibration.get("flagged_interval") or (None, wanted)
        if not (0 < wanted < 1 and 0 <= float(high) <= 1):
            raise ValueError(
                "expected a wanted_fpr above 0 and below 1 and a flagged_interval within 0 to 1, "
                f"got {wanted} and an upper limit of {high}"
            )
        promised = min(MAX_PROMISE, max(wanted, float(high)))
        return TargetGuard(int(target), float(threshold), promised)


@dataclass(frozen=True)
class ServedModel:
    """The interface of the served model.

    Attributes
    ----------
    name
        In the paths of requests.
    platform
        What runs it, as the Open Inference Protocol names platforms.
    preparation
        How pictures become inputs, with shape, bounds and class names of the model.
    policy
        What is predicted for flagged inputs; see `undoor.guard`.
    guards
        One for each target.
    model_sha256, repair_sha256
        What the answers depend on.
    output_form
        What outputs mean; None for classes with the names of the contract.
    triggers
        A PNG of the recovered trigger for each target, where the repair is at hand.
    """

    name: str
    platform: str
    preparation: Preparation
    policy: Policy
    guards: tuple[TargetGuard, ...]
    model_sha256: str
    repair_sha256: str
    triggers: Mapping[int, bytes] = field(default_factory=dict)
    output_form: OutputForm | None = None

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise UndoorError(
                f"expected a policy of {', '.join(POLICIES)}, got {self.policy!r}; export again"
            )

    @property
    def outputs(self) -> OutputForm:
        """What outputs mean."""
        return self.output_form or Classes(self.contract.class_names)

    @property
    def targets(self) -> tuple[int, ...]:
        """The classes that are guarded."""
        return tuple(guard.target for guard in self.guards)

    @property
    def contract(self) -> Contract:
        """Shape of one input, bounds, class names."""
        return self.preparation.contract

    @property
    def takes_pictures(self) -> bool:
        """Whether an image file can be turned into an input."""
        return self.preparation.takes_pictures

    @property
    def form(self) -> InputForm:
        """What one input is."""
        return InputForm.of(self.preparation)

    def raw(self, x: Array) -> Array:
        """Return one input as a raw one [*input_shape] float32: pixels are prepared."""
        return self.preparation.prepared(x) if self.preparation.in_graph else x

    def goal_name(self, goal: int | None) -> str | None:
        """Return the name of a goal, such as a class; None where there is no such goal."""
        known = goal is not None and 0 <= goal < len(self.contract.class_names)
        return self.contract.class_names[goal] if known else None  # type: ignore[index]


class Outputs(NamedTuple):
    """What an engine returns for N inputs, as `undoor.guard.Guarded.logits` does.

    Attributes
    ----------
    logits
        [N, K] float32.
    flagged
        [N] bool.
    score
        [N] float32.
    bare
        [N, K] float32, the logits of the model alone; None where they are not known.
    """

    logits: Array
    flagged: Array
    score: Array
    bare: Array | None = None


class Engine(Protocol):
    """What runs the guarded model; called from one thread at a time."""

    @property
    def model(self) -> ServedModel:
        """What it serves."""

    def run(self, x: Array) -> Outputs:
        """Return the outputs of inputs of one shape [N, ...], N at least 1.

        Each is as `ServedModel.form` says.
        """


def warmed_up(engine: Engine) -> Engine:
    """Return the engine after it has run once in batches of one and two.

    Raises
    ------
    UndoorError
        It does not return what it should.
    """
    outputs = engine.model.outputs.num_outputs
    for n in (1, 2):
        found = engine.run(engine.model.preparation.example(n))
        got = [part.shape for part in (found.logits, found.flagged, found.score)]
        if got != [(n, outputs), (n,), (n,)]:
            raise UndoorError(
                f"expected logits [{n}, {outputs}], flagged [{n}] and score [{n}] of the model, "
                f"got {', '.join(str(list(shape)) for shape in got)}; export the model again"
            )
    return engine
