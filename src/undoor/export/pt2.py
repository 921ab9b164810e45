"""The guarded model as a `.pt2` archive of `torch.export`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from undoor.export.about import About
from undoor.export.graph import GuardedGraph
from undoor.export.parity import Outputs
from undoor.export.pixels import PixelGraph
from undoor.export.trace import trace
from undoor.vocabulary import EXPORT_ENTRY

# Under this name the archive holds its description:
# torch.export.load(file, extra_files={"undoor.json": ""}).


def write(graph: GuardedGraph | PixelGraph, example: Tensor, about: About, file: Path) -> None:
    """Write the traced graph, with its description as an extra file."""
    program = trace(graph, graph.axes, example)
    # The inputs it was traced with say nothing to anybody.
    program.example_inputs = None
    with file.open("wb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, stream, extra_files={EXPORT_ENTRY: about.to_text()})


def runner(file: Path) -> Callable[[Tensor], Outputs]:
    """Return the archive, read again, as a function: what a server would run."""
    with file.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.load(stream).module()
