"""Bounds on the size of an ONNX model in memory, checked before it is read.

Small files may expand to huge models: functions that call one another are copied into each place
that calls them, empty messages take two bytes, and tensors and shapes declare values that are not
stored.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

# Networks for images have some thousand nodes.
MAX_NODES = 100_000
# Fields of the whole file: at least two bytes each, but about a hundred in memory.
MAX_FIELDS = 1_000_000
MAX_AXES = 64
# Values of a tensor that an operator fills by a stored shape.
MAX_VALUES = 2**28
# Which input of these operators is a shape, or as good as one.
FILLERS = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1}
DRAWN = ("RandomNormal", "RandomUniform")
# Values of the smallest type, of two bits.
VALUES_PER_BYTE = 4
LISTS = ("float_data", "int64_data", "double_data", "uint64_data", "string_data")

Function = tuple[str, str, str]


def count_fields(data: bytes, descriptor: Any) -> int:
    """Count the fields of an encoded message and of those within it, up to `MAX_FIELDS` + 1.

    Parameters
    ----------
    data
        The encoded message.
    descriptor
        Of the type of message, as its class has it.

    Raises
    ------
    ValueError
        It is damaged.
    """
    fields = 0
    waiting = [(0, len(data), descriptor)]
    while waiting:
        place, end, kind = waiting.pop()
        while place < end and fields <= MAX_FIELDS:
            fields += 1
            tag, place = _varint(data, place, end)
            if tag & 7 == 2:
                length, place = _varint(data, place, end)
                known = kind.fields_by_number.get(tag >> 3)
                if known is not None and known.message_type is not None:
                    waiting.append((place, min(place + length, end), known.message_type))
                elif known is not None and known.type == known.TYPE_STRING:
                    # Protobuf would hand out bytes, which nobody expects of a name.
                    data[place : min(place + length, end)].decode("utf-8")
                place += length
            elif tag & 7 == 0:
                _, place = _varint(data, place, end)
            elif tag & 7 in (1, 5):
                place += 8 if tag & 7 == 1 else 4
            else:
                raise ValueError(f"a field of wire type {tag & 7}")
            if place > end:
                raise ValueError("a field that is cut off")
    return fields


def of_nodes(model: Any) -> Iterator[str]:
    """Yield why a model has too many nodes, counting those of functions at each call."""
    functions = {_name(item.domain, item.name, item): item for item in model.functions}
    if len(functions) < len(model.functions):
        yield "two of its functions have one name"
    called = {name: _nodes(item.node) for name, item in functions.items()}
    sizes: dict[Function, int] = {}
    try:
        for name in TopologicalSorter(called).static_order():
            sizes[name] = _total(called.get(name, Counter()), sizes)
    except CycleError:
        yield "its functions call themselves"
    else:
        if _total(_nodes(model.graph.node), sizes) > MAX_NODES:
            yield f"it has more than {MAX_NODES:,} nodes, those of functions counted at each call"


def of_tensor(tensor: Any) -> Iterator[str]:
    """Yield why a tensor cannot be what it declares."""
    shown = f"its tensor {tensor.name[:80]!r}"
    if len(tensor.dims) > MAX_AXES or min(tensor.dims, default=0) < 0:
        yield f"{shown} has an impossible shape"
        return
    if tensor.external_data:
        return
    declared = math.prod(tensor.dims)
    stored = VALUES_PER_BYTE * (len(tensor.raw_data) + 4 * len(tensor.int32_data))
    stored += sum(len(getattr(tensor, kind)) for kind in LISTS)
    if declared > stored and declared > 1:
        yield f"{shown} declares {declared:,} values and stores far fewer"


def of_shapes(graphs: Iterator[Any], to_array: Any) -> Iterator[str]:
    """Yield the operators that fill huge tensors by a stored shape, in words.

    Parameters
    ----------
    graphs
        Graphs and functions.
    to_array
        Reads a stored tensor.
    """
    for graph in graphs:
        stored = {item.name: item for item in getattr(graph, "initializer", ())}
        for node in graph.node:
            for item in node.attribute if node.op_type == "Constant" else ():
                if item.HasField("t") and node.output:
                    stored[node.output[0]] = item.t
        for node in graph.node:
            sizes = _filled(node, stored, to_array)
            if math.prod(max(abs(size), 1) for size in sizes) > MAX_VALUES:
                yield f"its operator {node.op_type} fills more than {MAX_VALUES:,} values"


def graphs_of(model: Any) -> Iterator[Any]:
    """Yield the graph, the functions, and all graphs within them."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting += _inner(graph.node)


def _inner(nodes: Any) -> list[Any]:
    found: list[Any] = []
    for node in nodes:
        for item in node.attribute:
            found += [item.g] if item.HasField("g") else []
            found += item.graphs
    return found


def _nodes(nodes: Any) -> Counter[Function]:
    """Count what the nodes of a body call, and those of graphs within it."""
    found: Counter[Function] = Counter()
    waiting = [nodes]
    while waiting and found.total() <= MAX_NODES:
        some = waiting.pop()[: MAX_NODES + 1]
        found.update(_name(node.domain, node.op_type, node) for node in some)
        waiting += [graph.node for graph in _inner(some)]
    return found


def _name(domain: str, name: str, item: Any) -> Function:
    return ("" if domain == "ai.onnx" else domain, name, getattr(item, "overload", ""))


def _total(nodes: Counter[Function], sizes: dict[Function, int]) -> int:
    total = sum(count * (1 + sizes.get(name, 0)) for name, count in nodes.items())
    return min(total, MAX_NODES + 1)


def _filled(node: Any, stored: dict[str, Any], to_array: Any) -> list[int]:
    if node.op_type in DRAWN:
        return [size for item in node.attribute if item.name == "shape" for size in item.ints]
    place = FILLERS.get(node.op_type)
    if place is None or place >= len(node.input) or node.input[place] not in stored:
        return []
    tensor = stored[node.input[place]]
    if math.prod(tensor.dims) > MAX_AXES or tensor.external_data:
        return []
    try:
        return [int(size) for size in to_array(tensor).reshape(-1).tolist()]
    # A damaged tensor is no shape; it is reported where the model is opened.
    except Exception:
        return []


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            break
    raise ValueError("a number that is cut off or endless")
