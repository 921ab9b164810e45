"""The result of an inspection: all that is known of a model before any work is done with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from undoor.classifier import Classifier
from undoor.inspect.checkpoint import CheckpointFacts
from undoor.inspect.dry_run import DryRun
from undoor.inspect.files import FileFacts
from undoor.inspect.network import NetworkFacts
from undoor.origin import CodeFile

SCHEMA = "undoor/inspection/2"


@dataclass(frozen=True)
class ClassifierFacts:
    """The inputs and outputs of a classifier; see `undoor.Classifier`.

    Attributes
    ----------
    input_shape
        (channels, height, width) of a raw input.
    bounds
        Lowest and highest value of a raw input.
    scale, mean, std
        The network receives (x * scale - mean) / std.
    output
        What the network returns, as "logits".
    class_names
        In the order of the class numbers.
    """

    input_shape: tuple[int, ...]
    bounds: tuple[float, float]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    output: str
    class_names: tuple[str, ...]

    @staticmethod
    def of(classifier: Classifier) -> ClassifierFacts:
        """Return the facts of a classifier."""
        return ClassifierFacts(
            classifier.input_shape,
            classifier.bounds,
            classifier.scale,
            tuple(classifier.mean.flatten().tolist()),
            tuple(classifier.std.flatten().tolist()),
            classifier.output,
            classifier.class_names,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON has them."""
        return {
            "input_shape": list(self.input_shape),
            "bounds": list(self.bounds),
            "scale": self.scale,
            "mean": list(self.mean),
            "std": list(self.std),
            "output": self.output,
            "class_names": list(self.class_names),
        }


@dataclass(frozen=True)
class CodeFacts:
    """Python code that a file of the model names, and that opening the model runs.

    Attributes
    ----------
    architecture
        As the file has it.
    trusted
        Whether the user trusts it.
    files
        Every Python file that could be imported; none for code of an installed package.
    """

    architecture: str
    trusted: bool
    files: tuple[CodeFile, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the architecture, whether it is trusted, and its files, as JSON has them."""
        return {
            "architecture": self.architecture,
            "trusted": self.trusted,
            "files": [{"path": file.path, "sha256": file.sha256} for file in self.files],
        }


@dataclass(frozen=True)
class Inspection:
    """The result of `undoor.inspect`.

    Attributes
    ----------
    files
        The facts of each file of the model.
    problem
        Why the model was not opened, or not wholly; None where it was.
    contract, network
        Of the model; None where it was not opened.
    checkpoint
        Of a bare checkpoint whose architecture was not given, or is not trusted; else None.
    model_sha256
        Over all that the predictions depend on, see `Classifier.fingerprint`; None where the model
        was not opened.
    dry_run
        On the clean images; None where none were given.
    code
        The code that a file of the model names, and that opening it runs; None where there is none.
    """

    files: tuple[FileFacts, ...]
    problem: str | None = None
    contract: ClassifierFacts | None = None
    network: NetworkFacts | None = None
    checkpoint: CheckpointFacts | None = None
    model_sha256: str | None = None
    dry_run: DryRun | None = None
    code: CodeFacts | None = None

    @property
    def safe(self) -> bool:
        """Whether every file may be opened, and no code would run that the user does not trust."""
        return all(file.safe for file in self.files) and (self.code is None or self.code.trusted)

    @property
    def opened(self) -> bool:
        """Whether the model was opened, or, without an architecture, its tensors were."""
        return self.problem is None

    def held_to_a_hash(self) -> Inspection:
        """Return the same result for a model whose hash is expected.

        Where that hash was not computed, this is a problem.
        """
        if self.model_sha256 is not None or self.problem is not None:
            return self
        return replace(
            self,
            problem="the expected SHA-256 is that of the built network, and no network was built; "
            "give the architecture as well (--architecture)",
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the network and of the dry run, in words."""
        parts = (self.network, self.dry_run)
        return tuple(text for part in parts if part is not None for text in part.warnings)

    def to_json(self) -> dict[str, Any]:
        """Return the whole result as JSON has it; the parts that are missing are null."""
        parts = {
            "code": self.code,
            "contract": self.contract,
            "network": self.network,
            "checkpoint": self.checkpoint,
            "dry_run": self.dry_run,
        }
        return {
            "schema": SCHEMA,
            "safe": self.safe,
            "opened": self.opened,
            "problem": self.problem,
            "warnings": list(self.warnings),
            "files": [file.to_json() for file in self.files],
            "model_sha256": self.model_sha256,
            **{name: part.to_json() if part else None for name, part in parts.items()},
        }
