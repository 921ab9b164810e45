"""Read graphs of torch.export for sizes of batches that are compared or become numbers."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from undoor.scrutiny.doubt import GraphFinding
from undoor.scrutiny.operators import CONSTANTS, VIEWS, words

_PLAIN = {getattr(operator, n) for n in words("add sub mul floordiv mod neg truediv pow")}
_COMPARING = {getattr(operator, n) for n in words("ge gt le lt eq ne and_ or_ not_")}
_SHAPED = (
    VIEWS
    | CONSTANTS
    | words(
        "full arange zeros ones empty slice select narrow split split_with_sizes repeat pad "
        "constant_pad_nd adaptive_avg_pool2d _adaptive_avg_pool2d upsample_bilinear2d "
        "upsample_nearest2d upsample_bicubic2d sym_size as_strided roll unfold col2im im2col "
        "_assert_scalar sym_constrain_range sym_constrain_range_for_size _assert_async tile "
        "repeat_interleave linspace slice_scatter select_scatter eye tril triu unflatten "
        "native_group_norm"
    )
)
# The argument that is a number in these, and not a shape.
_FILLS = {"full": 1, "full_like": 1, "new_full": 2, "scalar_tensor": 0}


def read_exported(network: nn.Module) -> Iterator[GraphFinding]:
    """Yield the findings in the graphs among the modules of a network."""
    for _, module in network.named_modules():
        if isinstance(module, fx.GraphModule):
            yield from _of_graph(module.graph)


def _of_graph(graph: fx.Graph) -> Iterator[GraphFinding]:
    sizes: set[fx.Node] = set()
    for node in graph.nodes:
        if _is_size(node) or (node.op == "call_function" and _is_plain(node.target)):
            if _is_size(node) or any(n in sizes for n in node.all_input_nodes):
                sizes.add(node)
            if node.target in _COMPARING and node in sizes and _is_used(node):
                yield GraphFinding("batch_size", f"node {node.name}", _name(node))
        elif node.op == "call_function" and _as_number(node, sizes):
            yield GraphFinding("batch_size", f"node {node.name}", _name(node))


def _is_size(node: fx.Node) -> bool:
    """Return whether a node is a size that the graph does not fix, which is that of the batch."""
    if node.op != "call_function" or not _name(node).startswith("sym_size"):
        return False
    return not isinstance(node.meta.get("val"), int)


def _is_plain(target: Any) -> bool:
    if target in _PLAIN or target in _COMPARING:
        return True
    return getattr(target, "__name__", "").startswith("sym_") and callable(target)


def _is_used(node: fx.Node) -> bool:
    """Return whether a comparison of sizes is used for more than an assertion."""
    return any(
        "assert" not in _name(user) and "constrain" not in _name(user) for user in node.users
    )


def _as_number(node: fx.Node, sizes: set[fx.Node]) -> bool:
    name = _name(node)
    if name in _FILLS:
        place = _FILLS[name]
        return len(node.args) > place and node.args[place] in sizes
    return name not in _SHAPED and any(
        isinstance(argument, fx.Node) and argument in sizes for argument in node.args
    )


def _name(node: fx.Node) -> str:
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target._schema.name.partition("::")[2])
    return getattr(node.target, "__name__", str(node.target))
