"""Layers of an exported graph as modules again, so that corrections find their places.

`torch.export` leaves functions and their weights; a correction stands behind a module and nowhere
else. Each layer gets the name that it had in the network that was exported.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from undoor.errors import UndoorError

aten = torch.ops.aten
# From the function's tensors (None where it has none) and its other arguments, in its order.
Make = Callable[[Sequence[Tensor | None], Sequence[Any], int], nn.Module | None]
META = torch.device("meta")
# These know one order in memory, which searches and corrections do not keep.
VIEWS = (aten.view.default, aten._unsafe_view.default)
# Products with a weight, and what says that it is stored as [inputs, outputs].
PRODUCTS = (aten.addmm.default, aten.mm.default, aten.matmul.default)
TURNED = "turned"


def with_layers(program: fx.GraphModule) -> fx.GraphModule:
    """Return a graph in which convolutions, linear layers, normalisations and softmax are modules.

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
    # A second time, since only what is used by then is taken over.
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
    """Call a module instead of the function of `node`, where its weights are stored ones."""
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
    """Return what flows in, the names of the stored tensors, and all else.

    No flow where a tensor is computed, or more comes out than the layer's answer.
    """
    args = list(node.args)
    if node.target in PRODUCTS:
        bias, x, weight = args[:3] if node.target is aten.addmm.default else (None, *args[:2])
        turned = _transposed(weight)
        # With other factors than 1, the sum is no linear layer.
        factors = [*args[3:], *node.kwargs.values()]
        args = [x, turned or weight, bias, *([] if turned else [TURNED]), *factors]
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
    """Return what a node transposes; None for any other, which is no weight of a linear layer."""
    turns = isinstance(arg, fx.Node) and arg.target in (aten.permute.default, aten.t.default)
    return arg.args[0] if turns else None


def _name(tensors: Sequence[str | None], node: fx.Node, root: nn.Module) -> str:
    """That of the module the weights were in, unless something else stands there by now."""
    parents = {name.rpartition(".")[0] for name in tensors if name}
    parent = parents.pop() if len(parents) == 1 else ""
    here = _get(root, parent) if parent else None
    free = type(here) is nn.Module and not list(here.children())
    return parent if free else f"layer_{node.name}"


def _get(root: nn.Module, name: str) -> Any:
    return operator.attrgetter(name)(root)


def _put(root: nn.Module, name: str, value: Any) -> None:
    """Under a dotted name; a tensor that is no parameter becomes a buffer."""
    *path, last = name.split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = getattr(root, part)
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        root.register_buffer(last, value)
    else:
        setattr(root, last, value)


def _filled(layer: nn.Module, **tensors: Tensor | None) -> nn.Module:
    """Return a layer built without memory, with these tensors as its own."""
    for name, value in tensors.items():
        if name in layer._buffers:
            layer._buffers[name] = value
        else:
            layer._parameters[name] = (
                None if value is None else nn.Parameter(value.detach(), requires_grad=False)
            )
    return layer


def _conv(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module | None:
    weight, bias = tensors
    stride, padding, dilation, groups = [*others, *[1, 0, 1, 1][len(others) :]][:4]
    if weight is None or weight.dim() not in (3, 4):
        return None
    kind: Any = nn.Conv1d if weight.dim() == 3 else nn.Conv2d
    size = weight.shape[2:]
    spread = [n if isinstance(n, int | str) else _spread(n, len(size)) for n in (stride, padding)]
    layer = kind(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(size),
        spread[0],
        spread[1],
        dilation if isinstance(dilation, int) else _spread(dilation, len(size)),
        groups,
        bias=bias is not None,
        device=META,
    )
    return _filled(layer, weight=weight, bias=bias)


def _spread(values: Sequence[int], count: int) -> tuple[int, ...]:
    return tuple(values) if len(values) == count else tuple(values) * count


def _convolution(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> Any:
    stride, padding, dilation, transposed, _, groups = others
    return None if transposed else _conv(tensors, (stride, padding, dilation, groups), d)


def _linear(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module | None:
    weight, bias = tensors
    if weight is None or weight.dim() != 2 or others:
        return None
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device=META)
    return _filled(layer, weight=weight, bias=bias)


def _product(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> nn.Module | None:
    weight, bias = tensors
    if weight is None or weight.dim() != 2 or d < 2:
        return None
    if list(others) != [TURNED]:
        return _linear(tensors, others, d)
    return _linear((weight.T, bias), (), d)


def _batch_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> Any:
    if others[0]:
        raise UndoorError(
            "the graph normalises by the batch at hand (a batch norm exported in training mode); "
            "call model.eval() and export it again"
        )
    return _eval_batch_norm(tensors, others[1:], d)


def _eval_batch_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> Any:
    weight, bias, mean, variance = tensors
    if mean is None or variance is None or d > 4:
        return None
    kind: Any = nn.BatchNorm2d if d == 4 else nn.BatchNorm1d
    layer = kind(len(mean), eps=others[1], affine=weight is not None, device=META)
    counted = torch.zeros((), dtype=torch.long)
    stored = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": variance}
    return _filled(layer, **stored, num_batches_tracked=counted)


def _layer_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module:
    weight, bias = tensors
    shape, eps = others[0], others[1] if len(others) > 1 else 1e-5
    layer = nn.LayerNorm(
        shape, eps, elementwise_affine=weight is not None, bias=bias is not None, device=META
    )
    return _filled(layer, weight=weight, bias=bias)


def _rms_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module:
    eps = others[1] if len(others) > 1 else None
    layer = nn.RMSNorm(others[0], eps, elementwise_affine=tensors[0] is not None, device=META)
    return _filled(layer, weight=tensors[0])


def _group_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> Any:
    weight, bias = tensors
    if weight is None or bias is None:
        return None
    layer = nn.GroupNorm(others[0], len(weight), others[1], device=META)
    return _filled(layer, weight=weight, bias=bias)


def _native_group_norm(tensors: Sequence[Tensor | None], others: Sequence[Any], d: int) -> Any:
    return _group_norm(tensors, others[-2:], d)


def _softmax(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module:
    return nn.Softmax(dim=others[0])


def _log_softmax(tensors: Sequence[Tensor | None], others: Sequence[Any], _: int) -> nn.Module:
    return nn.LogSoftmax(dim=others[0])


# For each function its layer, and which of its arguments are stored tensors.
_KNOWN: dict[Any, tuple[Make, tuple[int, ...]]] = {
    aten.conv1d.default: (_conv, (1, 2)),
    aten.conv1d.padding: (_conv, (1, 2)),
    aten.conv2d.default: (_conv, (1, 2)),
    aten.conv2d.padding: (_conv, (1, 2)),
    aten.convolution.default: (_convolution, (1, 2)),
    aten.linear.default: (_linear, (1, 2)),
    aten.addmm.default: (_product, (1, 2)),
    aten.mm.default: (_product, (1, 2)),
    aten.matmul.default: (_product, (1, 2)),
    aten.batch_norm.default: (_batch_norm, (1, 2, 3, 4)),
    aten._native_batch_norm_legit_no_training.default: (_eval_batch_norm, (1, 2, 3, 4)),
    aten.layer_norm.default: (_layer_norm, (2, 3)),
    aten.native_layer_norm.default: (_layer_norm, (2, 3)),
    aten.rms_norm.default: (_rms_norm, (2,)),
    aten.group_norm.default: (_group_norm, (2, 3)),
    aten.native_group_norm.default: (_native_group_norm, (1, 2)),
    aten.softmax.int: (_softmax, ()),
    aten._softmax.default: (_softmax, ()),
    aten.log_softmax.int: (_log_softmax, ()),
    aten._log_softmax.default: (_log_softmax, ()),
}
LAYERS = {function: make for function, (make, _) in _KNOWN.items()}
TENSORS = {function: slots for function, (_, slots) in _KNOWN.items()}
