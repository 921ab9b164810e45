"""Export a guarded model as one file that a server runs without undoor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from undoor.classifier import Classifier
from undoor.device import CPU
from undoor.errors import UndoorError
from undoor.export import folded, onnx, pt2
from undoor.export.about import SCHEMA, About
from undoor.export.graph import GuardedGraph
from undoor.export.parity import Parity, compare, odd_inputs, probes
from undoor.files import write_atomically
from undoor.guard import guard
from undoor.kinds import checked
from undoor.repairs.record import Repair
from undoor.vocabulary import DEFAULT_POLICY, DEFAULT_RULE, ExportFormat

__all__ = ["FORMATS", "About", "Export", "ExportFormat", "GuardedGraph", "Parity", "export"]

FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


@dataclass(frozen=True)
class Export:
    """An exported file.

    Attributes
    ----------
    sha256
        Of the file.
    parity
        How closely the file, read again, agrees with the guarded model.
    num_outputs
        How many numbers the model gives for one input; with some tasks not one per class.
    """

    file: Path
    format: ExportFormat
    sha256: str
    about: About
    parity: Parity
    num_outputs: int

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document, with inputs and outputs; axes that are free have a name."""
        contract = self.about.contract
        graph = self.about.holds == "guarded"
        tensors: dict[str, Any] = {
            "inputs": [_tensor("images", "float32", *contract.input_shape)],
            "outputs": [
                _tensor("logits", "float32", self.num_outputs),
                _tensor("flagged", "bool"),
                _tensor("score", "float32"),
            ],
        }
        return {
            "schema": SCHEMA,
            "file": str(self.file),
            "format": self.format,
            "sha256": self.sha256,
            "metadata": self.about.to_json(),
            **(tensors if graph else {"inputs": [], "outputs": []}),
            "parity": vars(self.parity),
        }


@checked
def export(
    classifier: Classifier,
    repair: Repair,
    file: str | Path,
    *,
    to: ExportFormat | None = None,
    rule: str = DEFAULT_RULE,
    policy: str = DEFAULT_POLICY,
) -> Export:
    """Write the guarded model as one file that needs no undoor.

    "onnx" and "pt2" hold the original, the corrected networks and the rule as one graph: from raw
    ``images`` [N, *input_shape] within the bounds, float32, any N, to ``logits`` [N, K] (those of
    the guarded prediction: see `Guarded.logits`; that of a flagged target is the lowest float32),
    ``flagged`` [N] and ``score`` [N] (the lowest float32 for inputs that are predicted as no
    suspected target). All are finite, whatever the inputs are; inputs outside the bounds, NaN and
    infinite ones are flagged as by `undoor.guard`. "safetensors" is the state dict of the corrected
    network alone, its corrections folded into batch norms; it flags nothing, and is refused unless
    all corrections are affine.

    The file is read again and compared with the guarded model on random inputs before it takes its
    place. It says which model and repair it was made of, and what it takes: ONNX in the metadata
    entry "undoor", pt2 in the extra file "undoor.json", safetensors in "undoor.export".

    Parameters
    ----------
    file
        Where to; its ending gives the format unless `to` does.
    rule, policy
        As for `undoor.guard`; folded weights know neither.

    Raises
    ------
    UndoorError
        The repair is another model's or names no target, a library is missing, or the model has no
        such form.
    """
    file = Path(file)
    kind = _format(file, to)
    repair.require_model(classifier)
    # Graphs name the device that they were made on: files are for any machine.
    classifier = classifier.on(CPU)
    if not repair.targets:
        raise UndoorError(
            "expected a repair of at least one target, got one without; there is nothing to guard: "
            "serve the model as it is"
        )
    batches = probes(classifier, [item.trigger for item in repair.targets])
    if kind == "safetensors":
        return _export_folded(classifier, repair, file, batches)
    if kind == "onnx":
        onnx.require_extra()
    guarded = guard(classifier, repair, rule=rule, policy=policy).eval()
    about = About.of(repair, "guarded", rule, policy)
    writer = {"onnx": onnx, "pt2": pt2}[kind]

    def write(temporary: Path) -> Parity:
        writer.write(GuardedGraph(guarded), batches[1], about, temporary)
        return compare(guarded, writer.runner(temporary), [*batches, odd_inputs(classifier)])

    return _written(file, kind, about, classifier.num_outputs, write)


def _export_folded(
    classifier: Classifier, repair: Repair, file: Path, batches: list[Any]
) -> Export:
    made = folded.folded(classifier, repair)
    about = About.of(repair, "corrected", None, None)

    def write(temporary: Path) -> Parity:
        folded.write(made, about, temporary)
        return folded.check(classifier, repair, made, temporary, batches)

    return _written(file, "safetensors", about, classifier.num_outputs, write)


def _written(
    file: Path,
    kind: ExportFormat,
    about: About,
    num_outputs: int,
    write: Callable[[Path], Parity],
) -> Export:
    """Write and check a temporary file, which takes the place of `file` if it agrees."""
    parities: list[Parity] = []
    write_atomically(file, lambda temporary: parities.append(write(temporary)))
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return Export(file, kind, sha256, about, parities[0], num_outputs)


def _format(file: Path, to: ExportFormat | None) -> ExportFormat:
    endings = {f".{name}": name for name in FORMATS}
    found = endings.get(file.suffix.lower())
    if to is not None and to not in FORMATS:
        raise UndoorError(f"expected a format of {', '.join(FORMATS)}, got {to!r}")
    if found is None or (to is not None and found != to):
        wanted = f".{to}" if to else " or ".join(endings)
        raise UndoorError(f"{file}: expected a file that ends in {wanted}, got {file.name!r}")
    return found


def _tensor(name: str, dtype: str, *rest: int) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": ["batch", *rest]}
