"""The guarded model as an ONNX file."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from undoor.device import array, from_array
from undoor.errors import UndoorError, first_line
from undoor.export.about import About
from undoor.export.graph import GuardedGraph
from undoor.export.parity import Outputs
from undoor.export.pixels import PixelGraph
from undoor.export.trace import trace
from undoor.extras import how_to_install
from undoor.vocabulary import EXPORT_BARE, EXPORT_KEY, EXPORT_OUTPUTS

LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
# Where torch says of each operator of torchvision that the library is missing; none is needed.
REGISTRATION = logging.getLogger("torch.onnx._internal.exporter._registration")


def require_extra() -> None:
    """Refuse to go on without the libraries that ONNX files take.

    Raises
    ------
    UndoorError
        One of them is missing.
    """
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            raise UndoorError(
                f"ONNX files take the library {name}, which is not installed; "
                f"{how_to_install('onnx-export')}"
            ) from None


def write(graph: GuardedGraph | PixelGraph, example: Tensor, about: About, file: Path) -> None:
    """Write the graph as an ONNX file, with its description as metadata.

    Parameters
    ----------
    example
        Inputs of the graph [N >= 2, ...] to trace with.

    Raises
    ------
    UndoorError
        No graph can be made, one of its operators has no form in ONNX, or the model is larger than
        the 2 GB that one ONNX file can hold.
    """
    program = trace(_WithBare(graph), graph.axes, example)
    try:
        with warnings.catch_warnings(), _without_torchvision():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=[graph.takes],
                output_names=[*EXPORT_OUTPUTS, EXPORT_BARE],
            )
        assert made is not None
        content = _named(made.model_proto, graph.axes, about).SerializeToString(deterministic=True)
    except Exception as error:
        raise UndoorError(
            f"the model cannot be written as one ONNX file ({first_line(error)}); "
            "expected operators that ONNX has and less than 2 GB; try --to pt2"
        ) from error
    file.write_bytes(content)


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Drop the messages that torchvision is not installed."""

    def others(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("torchvision is not installed")

    REGISTRATION.addFilter(others)
    try:
        yield
    finally:
        REGISTRATION.removeFilter(others)


class _WithBare(nn.Module):
    """A graph with the logits of the original network as one more output.

    They become a named value inside the file, at which `undoor.deploy` cuts the graph in two.
    """

    def __init__(self, graph: GuardedGraph | PixelGraph) -> None:
        super().__init__()
        # Not `graph`, as modules that are traced have one of their own.
        self.guarded = graph

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.guarded.with_bare(x)


def runner(file: Path) -> Callable[[Tensor], Outputs]:
    """Return ONNX Runtime on the file as a function: what a server would run."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()

    def run(x: Tensor) -> Outputs:
        logits, flagged, score = session.run(list(EXPORT_OUTPUTS), {taken.name: array(x)})
        return from_array(logits), from_array(flagged), from_array(score)

    return run


def _named(model: Any, axes: tuple[str, ...], about: About) -> Any:
    """Return the model with named free axes and its description, cleaned of this machine."""
    import onnx

    (taken,) = model.graph.input
    found = (dimension.dim_param for dimension in taken.type.tensor_type.shape.dim)
    names = dict(zip(found, axes, strict=False))
    for value in (taken, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in names:
                dimension.dim_param = names[dimension.dim_param]
    for item in _described(model):
        del item.metadata_props[:]
        item.doc_string = ""
    # A value inside, and none of the outputs that are promised.
    *outputs, bare = model.graph.output
    model.graph.value_info.append(bare)
    del model.graph.output[len(outputs) :]
    onnx.helper.set_model_props(model, {EXPORT_KEY: about.to_text()})
    model.graph.name = "guarded"
    onnx.checker.check_model(model)
    return model


def _described(model: Any) -> Iterator[Any]:
    yield model.graph
    for function in model.functions:
        yield function
        yield from function.node
    yield from model.graph.node
    yield from model.graph.initializer
