"""Trace a module into a `torch.export` graph with a free batch axis."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from undoor.errors import UndoorError, first_line

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def trace(graph: nn.Module, axes: Sequence[str], example: Tensor) -> ExportedProgram:
    """Return the graph that `torch.export` makes of a guarded model, its free axes left free.

    Parameters
    ----------
    graph
        Of one input.
    axes
        Names of the first axes of its input, which are free.
    example
        Inputs of the graph [N >= 2, ...].

    Raises
    ------
    UndoorError
        The architecture has what no graph can hold, such as Python decisions on values, or fixes
        the size of the batch.
    """
    free = {place: torch.export.Dim(name, min=1) for place, name in enumerate(axes)}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # Of torch's own making, and nothing that a user of undoor could do about.
            warnings.simplefilter("ignore")
            program = torch.export.export(graph, (example,), dynamic_shapes=(free,))
    except Exception as error:
        raise UndoorError(
            f"torch.export cannot make one graph of this network ({first_line(error)}); expected "
            "an architecture without decisions on values and for any size of batch; serve it with "
            "undoor.guard instead"
        ) from error
    for node in program.graph.nodes:
        # It names the files of the machine that exported.
        node.meta.pop("stack_trace", None)
    return program
