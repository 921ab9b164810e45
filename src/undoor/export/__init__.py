"""Export a guarded model as one file that a server runs without undoor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import CPU
from undoor.errors import UndoorError
from undoor.export import folded, onnx, pt2
from undoor.export.about import About
from undoor.export.graph import GuardedGraph
from undoor.export.parity import Parity, Probe, compare, given_as_they_are, odd_inputs, probes
from undoor.export.pixel_probes import pixel_probes
from undoor.export.pixels import PixelGraph
from undoor.export.result import Export
from undoor.files import sha256_of, write_atomically
from undoor.guard import Guarded, guard
from undoor.kinds import checked
from undoor.repairs.record import Repair
from undoor.vocabulary import (
    DEFAULT_POLICY,
    DEFAULT_RULE,
    ExportFormat,
)

__all__ = ["FORMATS", "About", "Export", "ExportFormat", "GuardedGraph", "Parity", "export"]

FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


@checked
def export(
    classifier: Classifier,
    repair: Repair,
    file: str | Path,
    *,
    to: ExportFormat | None = None,
    rule: str = DEFAULT_RULE,
    policy: str = DEFAULT_POLICY,
    with_preprocessing: bool = False,
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
    place. It says which model and repair it was made of, what it takes, and how pictures are
    prepared: ONNX in the metadata entry "undoor", pt2 in the extra file "undoor.json", safetensors
    in "undoor.export". `undoor.deploy.ExportedModel` prepares and classifies by it without torch.

    Parameters
    ----------
    file
        Where to; its ending gives the format unless `to` does.
    rule, policy
        As for `undoor.guard`; folded weights know neither.
    with_preprocessing
        Resize, crop and scale pictures inside the graph as Pillow does: it then takes ``pixels``,
        uint8 [N, H, W, C] of any size, in the place of ``images``.

    Raises
    ------
    UndoorError
        The repair is another model's or names no target, a library is missing, the model has no
        such form, or its preprocessing cannot be part of a graph.
    """
    repair.require_corrections("export")
    file = Path(file)
    kind = _format(file, to)
    repair.require_model(classifier)
    # Graphs name the device that they were made on: files are for any machine.
    classifier = classifier.on(CPU).with_goals(repair.contract.goals)
    if not repair.targets:
        raise UndoorError(
            "expected a repair of at least one target, got one without; there is nothing to guard: "
            "serve the model as it is"
        )
    batches = probes(classifier, [item.trigger for item in repair.targets])
    if kind == "safetensors":
        if with_preprocessing:
            raise UndoorError(
                "expected a format with a graph for the preprocessing, got safetensors, which "
                "holds weights alone; export as .onnx or .pt2"
            )
        return _export_folded(classifier, repair, file, batches)
    if kind == "onnx":
        onnx.require_extra()
    guarded = guard(classifier, repair, rule=rule, policy=policy).eval()
    about = About.of(
        classifier, repair, "guarded", rule, policy, with_preprocessing=with_preprocessing
    )
    graph, given = _graph(guarded, about, batches)
    writer = {"onnx": onnx, "pt2": pt2}[kind]

    def write(temporary: Path) -> Parity:
        writer.write(graph, given[1].given, about, temporary)
        return compare(guarded, writer.runner(temporary), given)

    return _written(file, kind, about, classifier.num_outputs, write)


def _graph(
    guarded: Guarded, about: About, batches: list[Tensor]
) -> tuple[GuardedGraph | PixelGraph, list[Probe]]:
    """Return what is traced, and what the written file is compared on."""
    graph = GuardedGraph(guarded)
    if about.preparation.in_graph:
        return PixelGraph(graph, about.preparation), pixel_probes(about.preparation, batches)
    return graph, given_as_they_are([*batches, odd_inputs(guarded.original)])


def _export_folded(
    classifier: Classifier, repair: Repair, file: Path, batches: list[Tensor]
) -> Export:
    made = folded.folded(classifier, repair)
    about = About.of(classifier, repair, "corrected", None, None)

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
    return Export(file, kind, sha256_of(file), about, parities[0], num_outputs)


def _format(file: Path, to: ExportFormat | None) -> ExportFormat:
    endings = {f".{name}": name for name in FORMATS}
    found = endings.get(file.suffix.lower())
    if to is not None and to not in FORMATS:
        raise UndoorError(f"expected a format of {', '.join(FORMATS)}, got {to!r}")
    if found is None or (to is not None and found != to):
        wanted = f".{to}" if to else " or ".join(endings)
        raise UndoorError(f"{file}: expected a file that ends in {wanted}, got {file.name!r}")
    return found
