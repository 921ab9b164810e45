"""Screening of ONNX files: no foreign operators, and no data from outside of their folder.

ONNX is no code, but its tensors may be in other files that it names, and it may use operators that
a runtime would load as native code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from undoor.errors import UndoorError, first_line
from undoor.load.hub import from_library
from undoor.load.onnx_size import (
    MAX_FIELDS,
    count_fields,
    graphs_of,
    of_nodes,
    of_shapes,
    of_tensor,
)
from undoor.load.pickles import Breach
from undoor.load.regular import open_regular

EXTRA: Final = "onnx-models"
# A parsed message takes a few times its size; larger models keep their tensors in other files.
LARGEST = 2**29
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "com.microsoft"})
BESIDE = re.compile(r"[\w][\w .+-]*")
DEEPEST = 20


def screen_onnx(path: Path) -> tuple[Breach, ...]:
    """Return what keeps an ONNX file from being opened; empty where it may be opened.

    Raises
    ------
    UndoorError
        The file is damaged or too large, or the library to read it is missing.
    """
    (model_type,) = from_library("onnx", "ModelProto", extra=EXTRA)
    with open_regular(path) as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise UndoorError(
            f"{path} has more than {LARGEST:,} bytes; save its tensors as external data beside it"
        )
    model = model_type()
    try:
        if count_fields(data, model_type.DESCRIPTOR) > MAX_FIELDS:
            return (Breach("", f"it has more than {MAX_FIELDS:,} fields", "", 0),)
        model.ParseFromString(data)
    except Exception as error:
        raise UndoorError(
            f"{path} is no readable ONNX file ({first_line(error)}); it may be truncated: copy it "
            "again"
        ) from error
    if not model.graph.node:
        raise UndoorError(f"{path} is no ONNX model: its graph has no nodes; copy it again")
    found = dict.fromkeys(_breaches(model, path))
    return tuple(Breach("", why, "", 0) for why in found)


def _breaches(model: Any, path: Path) -> Iterator[str]:
    (to_array,) = from_library("onnx.numpy_helper", "to_array", extra=EXTRA)
    if too_many := list(of_nodes(model)):
        yield from too_many
        return
    yield from of_shapes(graphs_of(model), to_array)
    for item in model.opset_import:
        if item.domain not in DOMAINS:
            yield f"it needs operators of {item.domain[:80]!r}, which would be native code"
    yield from _of_graph(model.graph, path, 0)
    for function in model.functions:
        for item in function.opset_import:
            if item.domain not in DOMAINS:
                yield f"it needs operators of {item.domain[:80]!r}, which would be native code"
        for node in function.node:
            yield from _of_node(node, path, 0)


def _of_graph(graph: Any, path: Path, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        yield f"its graphs are nested more than {DEEPEST} deep"
        return
    for tensor in graph.initializer:
        yield from _of_tensor(tensor, path)
    for sparse in graph.sparse_initializer:
        yield from _of_tensor(sparse.values, path)
        yield from _of_tensor(sparse.indices, path)
    for node in graph.node:
        yield from _of_node(node, path, depth)


def _of_node(node: Any, path: Path, depth: int) -> Iterator[str]:
    for attribute in node.attribute:
        for tensor in (attribute.t, *attribute.tensors):
            yield from _of_tensor(tensor, path)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from _of_tensor(sparse.values, path)
        graphs = [attribute.g] if attribute.HasField("g") else []
        for graph in (*graphs, *attribute.graphs):
            yield from _of_graph(graph, path, depth + 1)


def _of_tensor(tensor: Any, path: Path) -> Iterator[str]:
    yield from of_tensor(tensor)
    for entry in tensor.external_data:
        if entry.key != "location":
            continue
        beside = path.parent / entry.value
        strange = beside.is_symlink() or (beside.exists() and not beside.is_file())
        if not BESIDE.fullmatch(entry.value) or strange:
            yield f"it takes a tensor from {entry.value[:80]!r}; expected a file beside it"
