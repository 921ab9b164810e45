"""Read TorchScript for branches, and for conditions on how the script is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from undoor.scrutiny.doubt import GraphCode, GraphFinding

# What a script can read or do besides computing.
_CODES: dict[str, GraphCode] = {
    "prim::Print": "print",
    "prim::SetAttr": "state",
    "prim::TimePoint": "condition",
    "prim::rpc_async": "condition",
    "aten::is_autocast_enabled": "condition",
    "aten::is_autocast_cpu_enabled": "condition",
    "aten::is_contiguous": "condition",
    "aten::is_inference": "condition",
    "prim::requires_grad": "gradient_mode",
    "aten::requires_grad_": "gradient_mode",
    "aten::is_grad_enabled": "gradient_mode",
    "aten::set_grad_enabled": "gradient_mode",
    "aten::is_leaf": "gradient_mode",
    "aten::stride": "condition",
    "prim::data": "detach",
    "aten::detach": "detach",
    "aten::detach_": "detach",
}
_ASKING = {"gradient_mode", "condition"}
# The number of axes of a tensor, which does not depend on the batch.
_RANK = frozenset({"aten::dim", "aten::len", "prim::layout", "aten::ndimension"})
_MAX_NAME = 60
_SIZE = frozenset({"aten::size", "prim::shape", "aten::numel", "aten::sym_size"})
_TO_PLAIN = frozenset(
    {
        "aten::Bool",
        "aten::Int",
        "aten::Float",
        "aten::IntImplicit",
        "aten::FloatImplicit",
        "aten::ScalarImplicit",
        "aten::item",
        "aten::is_nonzero",
        "aten::equal",
        "aten::allclose",
        "prim::tolist",
    }
)
_NUMBERS: tuple[str, ...] = (
    "add",
    "sub",
    "rsub",
    "mul",
    "div",
    "pow",
    "eq",
    "ne",
    "gt",
    "ge",
    "lt",
    "le",
    "fill_",
)
_NUMBERS += ("clamp", "clamp_min", "clamp_max", "remainder", "masked_fill", "full", "full_like")


def read_script(network: nn.Module) -> Iterator[GraphFinding]:
    """Yield the findings in the scripts among the modules of a network."""
    inside: set[str] = set()
    for name, module in network.named_modules():
        if not isinstance(module, torch.jit.ScriptModule):
            continue
        if any(name.startswith(f"{other}.") or other == "" for other in inside):
            continue
        inside.add(name)
        try:
            graph = module.inlined_graph
            torch._C._jit_pass_inline(graph)
        except (AttributeError, RuntimeError):
            yield GraphFinding("disconnected", name or "the script", "a script without a graph")
            continue
        yield from _Reader(graph).findings()


class _Reader:
    """Reads a graph in which all calls are inlined."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.inputs = {value.unique() for value in list(graph.inputs())[1:]}
        self.from_input: set[int] = set(self.inputs)
        for node in _all(graph):
            self._mark(node)

    def findings(self) -> Iterator[GraphFinding]:
        """Yield the findings in the graph."""
        for node in _all(self.graph):
            kind, place = node.kind(), _place(node)
            code = _CODES.get(kind)
            if code == "detach" and not self._follows(node):
                code = None
            # A check that only raises an error has no other effect.
            if code in _ASKING and not self._matters(node):
                code = None
            if code:
                yield GraphFinding(code, place, kind)
            if kind == "prim::If" and not _only_raises(node) and not _is_empty(node):
                yield from self._branch(node, [next(iter(node.inputs()))])
            if kind == "prim::Loop":
                yield from self._branch(node, list(node.inputs())[:2] + _conditions(node))
            yield from self._arithmetic(node)

    def _branch(self, node: Any, conditions: list[Any]) -> Iterator[GraphFinding]:
        kinds = {kind for value in conditions for kind in self._sources(value)}
        if "data" in kinds:
            yield GraphFinding("branch", _place(node), node.kind())
        if "size" in kinds:
            yield GraphFinding("batch_size", _place(node), node.kind())

    def _arithmetic(self, node: Any) -> Iterator[GraphFinding]:
        """Yield arithmetic that combines sizes with the numbers of a tensor."""
        name = node.kind().removeprefix("aten::")
        values = list(node.inputs())
        if name not in _NUMBERS or not any(_is_tensor(v) for v in (*values, *node.outputs())):
            return
        plain = [v for v in values[1 : 2 if name != "full" else 3] if not _is_tensor(v)]
        if name == "full":
            plain = plain[-1:]
        if any("size" in self._sources(value) for value in plain):
            yield GraphFinding("batch_size", _place(node), node.kind())

    def _mark(self, node: Any) -> None:
        inner = [v for block in node.blocks() for v in block.outputs()]
        if self._follows(node) or any(v.unique() in self.from_input for v in inner):
            self.from_input.update(v.unique() for v in node.outputs())
            for block in node.blocks():
                self.from_input.update(v.unique() for v in block.inputs())

    def _follows(self, node: Any) -> bool:
        return any(v.unique() in self.from_input for v in node.inputs())

    def _sources(self, value: Any, seen: set[int] | None = None) -> set[str]:
        """Return on what a plain value depends: "size" or "data" of a batch, both or neither."""
        seen = set() if seen is None else seen
        if value.unique() in seen:
            return set()
        seen.add(value.unique())
        node = value.node()
        kind = node.kind()
        values = list(node.inputs())
        tensor = bool(values) and _is_tensor(values[0]) and values[0].unique() in self.from_input
        if kind in _RANK and not (kind == "aten::len" and tensor):
            return set()
        if kind in _SIZE or (kind == "aten::len" and tensor):
            return {"size"} if tensor and self._may_be_batch(node) else set()
        if _is_tensor(value):
            return {"data"} if value.unique() in self.from_input else set()
        if kind in _TO_PLAIN and tensor:
            return {"data"}
        # The value may come from a loop or a branch.
        blocks = [v for block in node.blocks() for v in block.outputs()]
        if kind == "prim::Param" or _is_check_for_empty(node):
            return set()
        found: set[str] = set()
        for inner in (*values, *blocks):
            if kind in ("aten::__is__", "aten::__isnot__"):
                break
            found |= self._sources(inner, seen)
        return found

    def _may_be_batch(self, node: Any) -> bool:
        """Return whether a size may be that of the batch.

        It is that of the first axis, or of an unknown one.
        """
        values = list(node.inputs())
        if node.kind() != "aten::size":
            return True
        if len(values) > 1:
            axis = values[1].toIValue()
            return axis is None or axis == 0
        users = [use.user for value in node.outputs() for use in value.uses()]
        return not all(_takes_another(user) for user in users)

    def _matters(self, node: Any) -> bool:
        """Return whether the result of a node is used for more than a check."""
        users = [use.user for value in node.outputs() for use in value.uses()]
        return not users or any(u.kind() != "prim::If" or not _only_raises(u) for u in users)


def _is_check_for_empty(node: Any) -> bool:
    """Return whether a node compares with 0, as layers do to skip empty inputs."""
    return node.kind() == "aten::eq" and any(v.toIValue() == 0 for v in node.inputs())


def _takes_another(user: Any) -> bool:
    """Return whether a list of sizes is used for another axis than the first, or as a shape."""
    if user.kind() == "aten::__getitem__":
        axis = list(user.inputs())[1].toIValue()
        return axis is not None and axis != 0
    return user.kind() in _RANK or user.kind() in ("aten::view", "aten::reshape", "aten::expand")


def _conditions(loop: Any) -> list[Any]:
    return [next(iter(block.outputs())) for block in loop.blocks()]


def _only_raises(node: Any) -> bool:
    """Return whether one side of a branch does nothing but raise an error."""
    return any(
        any(inner.kind() == "prim::RaiseException" for inner in block.nodes())
        for block in node.blocks()
    )


def _is_empty(node: Any) -> bool:
    return not any(list(block.nodes()) for block in node.blocks()) and not list(node.outputs())


def _is_tensor(value: Any) -> bool:
    kind = str(value.type())
    return "Tensor" in kind or kind.startswith(("Float(", "Long(", "Double("))


def _all(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        for inner in node.blocks():
            yield from _all(inner)
        yield node


def _place(node: Any) -> str:
    text = node.sourceRange().strip().splitlines()
    lines = [line for line in text if "<---" in line or 'File "' in line]
    where = lines[0].strip() if lines else ""
    if 'File "' in where:
        file, _, rest = where.partition('File "')[2].partition('"')
        number = "".join(c for c in rest.split("line", 1)[-1] if c.isdigit() or c == ",")
        # The text comes from the archive, so that it is reduced to a plain name.
        plain = re.sub(r"[^\w.-]", "?", file.rsplit("/", 1)[-1], flags=re.ASCII)
        return f"{plain[:_MAX_NAME]}:{number.split(',')[0][:8]}"
    return "the script"
