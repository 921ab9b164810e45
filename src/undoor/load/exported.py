"""Programs of `torch.export` (.pt2), as networks whose layers can be corrected."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from undoor.errors import UndoorError, first_line
from undoor.load.graph import Graph, example, require_any_batch, require_same
from undoor.load.layers import with_layers
from undoor.load.regular import open_regular
from undoor.vocabulary import EXPORT_ENTRY

aten = torch.ops.aten
# Inputs that layers and program are compared on, where the size of a batch is free.
COMPARED = 3
# Whose second argument is a shape, the batch first.
SHAPED = (aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.expand.default)


def read(path: Path) -> Graph:
    """Return the network in an archive that was screened.

    Raises
    ------
    UndoorError
        Torch cannot open it, it takes or returns anything but images and class scores, or it was
        exported for batches of one size in a way that cannot be undone.
    """
    with open_regular(path) as stream:
        data = stream.read()
    extra_files = {EXPORT_ENTRY: ""}
    try:
        with warnings.catch_warnings():
            # They come from torch itself; a user can do nothing about them.
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(data), extra_files=extra_files)
            whole = program.module(check_guards=False)
    except Exception as error:
        raise UndoorError(
            f"torch.export cannot open {path} ({first_line(error)}); it may be of another version "
            "of torch: export the model again with this one"
        ) from error
    if extra_files[EXPORT_ENTRY]:
        raise UndoorError(
            f"{path} is a guarded model that undoor exported, with the original inside; give the "
            "original as the model"
        )
    layered = with_layers(whole)
    shape = _input_shape(layered, path)
    batch, *rest = shape
    fixed = isinstance(batch, int)
    network = _for_any_batch(layered, (batch, *rest), path) if fixed else layered
    known = tuple(n for n in rest if isinstance(n, int))

    def require_parity(used: tuple[int, ...]) -> None:
        _compare(network, whole, example(used, batch if fixed else COMPARED), path)

    return Graph(network, known if len(known) == len(rest) else None, require_parity)


def _compare(network: nn.Module, whole: nn.Module, x: Tensor, path: Path) -> None:
    """Refuse layers whose class scores differ from the program's."""
    try:
        with torch.no_grad():
            (expected,) = tree_leaves(whole(x))
            require_same(network(x), expected, "its graph, made of layers,")
    except Exception as error:
        raise UndoorError(
            f"{path} cannot be used with inputs of shape {tuple(x.shape[1:])} "
            f"({first_line(error)}); give the input_shape that it was exported for, or its state "
            "dict instead"
        ) from error


def _input_shape(network: fx.GraphModule, path: Path) -> tuple[Any, ...]:
    inputs = [node for node in network.graph.nodes if node.op == "placeholder"]
    value = inputs[0].meta.get("val") if len(inputs) == 1 else None
    if not isinstance(value, Tensor) or value.dim() < 2:
        raise UndoorError(
            f"{path} takes {len(inputs)} inputs; expected one batch of images [N, C, H, W]"
        )
    return tuple(value.shape)


def _for_any_batch(network: fx.GraphModule, shape: tuple[Any, ...], path: Path) -> nn.Module:
    """Return a network for batches of any size, from one that was exported for a fixed size.

    Where a shape has the size of the batch, it is taken from the input. The result is compared with
    the program itself on a batch of the size that it was exported for.
    """
    graph, batch = fx.Graph(), shape[0]
    graph.output(graph.graph_copy(network.graph, {}))
    source = next(node for node in graph.nodes if node.op == "placeholder")
    with graph.inserting_after(source):
        size = graph.call_function(aten.sym_size.int, (source, 0))
    for node in graph.nodes:
        if node.target in SHAPED and list(node.args[1])[:1] == [batch]:
            node.args = (node.args[0], [size, *node.args[1][1:]], *node.args[2:])
    freed = fx.GraphModule(network, graph).eval()
    x = example(shape[1:], batch)
    try:
        with torch.no_grad():
            require_any_batch(freed, x, network(x), "its graph for batches of any size")
    except Exception as error:
        raise UndoorError(
            f"{path} was exported for batches of exactly {batch} ({first_line(error)}); export it "
            "again with dynamic_shapes=({0: torch.export.Dim('batch')},)"
        ) from error
    return freed
