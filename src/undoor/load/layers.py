"""Layers of an exported graph as modules again, so that corrections find their places.

`torch.export` leaves functions and their weights, but a correction follows a module. Each layer
gets the name that it had in the network that was exported.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from undoor.errors import UndoorError
from undoor.load.layer_kinds import LAYERS, TENSORS, TRANSPOSED

aten = torch.ops.aten
# These require one order in memory, which searches and corrections do not preserve.
VIEWS = (aten.view.default, aten._unsafe_view.default)
# Products with a weight.
PRODUCTS = (aten.addmm.default, aten.mm.default, aten.matmul.default)


def with_layers(program: fx.GraphModule) -> fx.GraphModule:
    """Return a graph whose convolutions, linear layers, normalisations and softmax are modules.

    Functions that are none of these, or whose weights are computed, stay functions. The tensors
    are shared with `program`, whose graph is not changed.

    Raises
    ------
    UndoorError
        A batch norm was exported in training mode, or it returns several things.
    """
    graph = fx.Graph()
    graph.output(_only(graph.graph_copy(program.graph, {})))
    root = _tensors_of(program)
    names: dict[tuple[str, ...], str] = {}
    for node in list(graph.nodes):
        if node.op == "call_module" and node.target == "_guards_fn":
            graph.erase_node(node)
        elif node.op == "call_function" and node.target in VIEWS:
            node.target = aten.reshape.default
        elif node.op == "call_function" and node.target in LAYERS:
            _exchange(graph, node, root, names)
    module = fx.GraphModule(root, graph)
    module.graph.eliminate_dead_code()
    # Built a second time, since only modules that are still used are taken over.
    return fx.GraphModule(module, module.graph).eval()


def _only(outputs: Any) -> Any:
    if not isinstance(outputs, tuple | list):
        return outputs
    if len(outputs) != 1:
        raise UndoorError(
            f"the graph returns {len(outputs)} things; expected class scores [N, classes] alone: "
            "export the model so that it returns nothing else"
        )
    return outputs[0]


def _tensors_of(program: fx.GraphModule) -> nn.Module:
    """Return all tensors of a program, below modules of no function."""
    root = nn.Module()
    for node in program.graph.nodes:
        if node.op == "get_attr":
            _put(root, node.target, _get(program, node.target))
    return root


def _exchange(
    graph: fx.Graph, node: fx.Node, root: nn.Module, names: dict[tuple[str, ...], str]
) -> None:
    """Replace the function of `node` by a module, if its weights are stored tensors."""
    x, tensors, others = _arguments(node)
    if x is None:
        return
    key = tuple(name or "" for name in tensors)
    if not any(key) or key not in names:
        stored = [None if name is None else _get(root, name) for name in tensors]
        value = x.meta.get("val")
        layer = LAYERS[node.target](stored, others, 4 if value is None else value.dim())
        if layer is None:
            return
        names[key] = _name(tensors, node, root)
        _put(root, names[key], layer)
    with graph.inserting_before(node):
        call = graph.call_module(names[key], (x,))
    value = node.meta.get("val")
    call.meta = {"val": value[0] if isinstance(value, tuple) else value}
    firsts = [user for user in node.users if user.target is operator.getitem]
    for user in firsts:
        user.replace_all_uses_with(call)
        graph.erase_node(user)
    if not firsts:
        node.replace_all_uses_with(call)
    graph.erase_node(node)


def _arguments(node: fx.Node) -> tuple[fx.Node | None, list[str | None], list[Any]]:
    """Return the input, the names of the stored tensors, and the other arguments.

    The input is None where a tensor is computed, or where more than the layer's output is used.
    """
    args = list(node.args)
    if node.target in PRODUCTS:
        bias, x, weight = args[:3] if node.target is aten.addmm.default else (None, *args[:2])
        turned = _transposed(weight)
        # With other factors than 1, the sum is no linear layer.
        factors = [*args[3:], *node.kwargs.values()]
        args = [x, turned or weight, bias, *([] if turned else [TRANSPOSED]), *factors]
    if any(user.target is operator.getitem and user.args[1] != 0 for user in node.users):
        return None, [], []
    nodes = [arg for arg in args[1:] if isinstance(arg, fx.Node)]
    if not isinstance(args[0], fx.Node) or any(arg.op != "get_attr" for arg in nodes):
        return None, [], []
    slots = TENSORS[node.target]
    padded = [*args[1:], *[None] * max(slots, default=0)]
    names = [getattr(padded[slot - 1], "target", None) for slot in slots]
    others = [arg for slot, arg in enumerate(args[1:], 1) if slot not in slots]
    return args[0], names, others


def _transposed(arg: Any) -> Any:
    """Return the node that is transposed; None where this is no transposition."""
    turns = isinstance(arg, fx.Node) and arg.target in (aten.permute.default, aten.t.default)
    return arg.args[0] if turns else None


def _name(tensors: Sequence[str | None], node: fx.Node, root: nn.Module) -> str:
    """Return the name of the module that had the weights, or a new one where it is taken."""
    parents = {name.rpartition(".")[0] for name in tensors if name}
    parent = parents.pop() if len(parents) == 1 else ""
    here = _get(root, parent) if parent else None
    free = type(here) is nn.Module and not list(here.children())
    return parent if free else f"layer_{node.name}"


def _get(root: nn.Module, name: str) -> Any:
    return operator.attrgetter(name)(root)


def _put(root: nn.Module, name: str, value: Any) -> None:
    """Set a value under a dotted name; a tensor that is no parameter becomes a buffer."""
    *path, last = name.split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = getattr(root, part)
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        root.register_buffer(last, value)
    else:
        setattr(root, last, value)
