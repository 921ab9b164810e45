"""Networks in ONNX files, converted to PyTorch by onnx2torch and compared with ONNX Runtime.

Exporters mostly fold batch norms into convolutions; the convolutions are corrected then.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from undoor.errors import UndoorError, first_line
from undoor.input_size import require_input_size
from undoor.load import onnx_trees
from undoor.load.graph import Graph, example, require_any_batch
from undoor.load.hub import from_library
from undoor.load.onnx_file import EXTRA
from undoor.load.onnx_linear import as_layers
from undoor.vocabulary import EXPORT_OUTPUTS

# The newest whose operators the converter knows; newer files are brought down to it.
OPSET = 17
# Operators of networks in whole numbers, which have no gradients.
QUANTISED = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"}
    | {"ConvInteger", "MatMulInteger", "QGemm", "QLinearAdd", "MatMulNBits"}
)
# What opset 18 added to Split, the number of its outputs, can be read off its outputs.
UNCHANGED = frozenset({"ConstantOfShape", "Split"})
ASIDE = "aside"
# Inputs that the two are compared on, where the size of a batch is free.
COMPARED = 3
MAX_BATCH = 4096


def read(path: Path) -> Graph:
    """Return the network in a file that was screened.

    Raises
    ------
    UndoorError
        A library is missing, an operator has no counterpart, or the file takes or returns anything
        but images and class scores.
    """
    (load,) = from_library("onnx", "load", extra=EXTRA)
    (convert,) = from_library("onnx2torch", "convert", extra=EXTRA)
    try:
        model = load(path)
    except Exception as error:
        raise UndoorError(
            f"{path} cannot be read ({first_line(error)}); copy it and its data again"
        ) from error
    if onnx_trees.holds_trees(model):
        return onnx_trees.read(model, path)
    _require_floating_point(model, path)
    shape, fixed = _images(model, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = convert(_brought_down(_plain(model, fixed))).eval()
    except Exception as error:
        raise UndoorError(
            f"{path} cannot be converted to PyTorch ({first_line(error)}); export the model in "
            f"opset {OPSET} with common operators, or give its state dict and architecture"
        ) from error
    return Graph(network, shape, lambda used: _compare(network, path, used, fixed))


def _require_floating_point(model: Any, path: Path) -> None:
    found = sorted({node.op_type for node in model.graph.node} & QUANTISED)
    if found:
        raise UndoorError(
            f"{path} is a quantised network ({', '.join(found)}), which has no gradients; give the "
            "one in floating point that it was made from"
        )


def _images(model: Any, path: Path) -> tuple[tuple[int, ...] | None, int | None]:
    """Return the shape of one input and the size of a batch, each None where it is free."""
    weights = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        names = ", ".join(item.name for item in model.graph.output)
        guarded = {*EXPORT_OUTPUTS} == {item.name for item in model.graph.output}
        hint = "give the original of this guarded model" if guarded else "export scores alone"
        raise UndoorError(
            f"{path} takes {len(inputs)} inputs and returns {names}; expected one batch of images "
            f"[N, C, H, W] and class scores [N, classes]: {hint}"
        )
    sizes = [
        axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None
        for axis in inputs[0].type.tensor_type.shape.dim
    ]
    if len(sizes) < 2:
        raise UndoorError(
            f"{path} takes an input with {len(sizes)} axes; expected images [N, C, H, W]"
        )
    batch, *rest = sizes
    require_input_size([n or 1 for n in rest], f"{path}: the input")
    if (batch or 1) > MAX_BATCH:
        raise UndoorError(
            f"{path} takes batches of {batch:,} inputs alone; export it with a free batch axis"
        )
    return (tuple(n for n in rest if n) if all(rest) else None), batch


def _plain(model: Any, fixed: int | None) -> Any:
    """Return the model in a form that the converter handles, and for batches of any size.

    Second names of weights are resolved; products and sums become linear layers; shapes that forbid
    0 without having one allow it; and a batch of a fixed size becomes a free one, also where a
    shape repeats it.
    """
    from_array, to_array = from_library("onnx.numpy_helper", "from_array", "to_array", extra=EXTRA)
    graph = model.graph
    _resolve_names(graph)
    as_layers(model)
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    stored = [(tensor, tensor.name) for tensor in graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            stored.append((node.attribute[0].t, node.output[0]))
    for tensor, name in stored:
        if name not in shapes:
            continue
        values = to_array(tensor).copy()
        if fixed and len(values) > 1 and values[0] == fixed:
            values[0] = 0
        tensor.CopyFrom(from_array(values, tensor.name))
    for node in graph.node:
        if node.op_type == "Reshape":
            attributes = [item for item in node.attribute if item.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(attributes)
    if fixed:
        for value in (*graph.input, *graph.output):
            axes = value.type.tensor_type.shape.dim
            if axes and axes[0].dim_value == fixed:
                axes[0].dim_param = "batch"
        del graph.value_info[:]
    return model


def _resolve_names(graph: Any) -> None:
    """Remove the nodes that only give a stored tensor a second name."""
    stored = {item.name for item in graph.initializer}
    same: dict[str, str] = {}
    for node in list(graph.node):
        if node.op_type == "Identity" and node.input[0] in stored | same.keys():
            same[node.output[0]] = same.get(node.input[0], node.input[0])
            graph.node.remove(node)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in same:
                node.input[place] = same[name]


def _brought_down(model: Any) -> Any:
    """Return the model in an opset that the converter knows.

    Newer operators, such as Gelu and Attention, are replaced by older ones, as ONNX defines them.
    """
    (convert_version,) = from_library("onnx.version_converter", "convert_version", extra=EXTRA)
    (make_opsetid,) = from_library("onnx.helper", "make_opsetid", extra=EXTRA)
    (inline,) = from_library("onnx.inliner", "inline_selected_functions", extra=EXTRA)
    version = max(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if version <= OPSET:
        return model
    newer = {n.op_type for n in model.graph.node if n.domain in ("", "ai.onnx") and _is_newer(n)}
    if newer:
        # Their definitions use CastLike, which is one itself.
        names = [("", name) for name in sorted(newer | {"CastLike"})]
        model = inline(model, names, inline_schema_functions=True)
        _bound_constants(model.graph)
    # Their newer versions take more types and do the same; the library cannot bring them down.
    for node in model.graph.node:
        if node.op_type in UNCHANGED and node.domain in ("", "ai.onnx"):
            node.domain = ASIDE
            _drop(node, "num_outputs")
    model.opset_import.append(make_opsetid(ASIDE, 1))
    model = convert_version(model, OPSET)
    for node in model.graph.node:
        node.domain = "" if node.domain == ASIDE else node.domain
    opsets = [item for item in model.opset_import if item.domain != ASIDE]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    return model


def _bound_constants(graph: Any) -> None:
    """Replace -inf, as in attention masks, by a finite number, since weights must be finite."""
    from_array, to_array = from_library("onnx.numpy_helper", "from_array", "to_array", extra=EXTRA)
    for node in graph.node:
        for item in node.attribute if node.op_type == "Constant" else ():
            value = to_array(item.t) if item.HasField("t") else None
            if value is not None and value.dtype == np.float32 and np.isneginf(value).any():
                bounded = np.maximum(value, np.finfo(np.float32).min)
                item.t.CopyFrom(from_array(bounded, item.t.name))


def _drop(node: Any, name: str) -> None:
    for item in [item for item in node.attribute if item.name == name]:
        node.attribute.remove(item)


def _is_newer(node: Any) -> bool:
    (defs,) = from_library("onnx", "defs", extra=EXTRA)
    try:
        defs.get_schema(node.op_type, OPSET)
    except defs.SchemaError:
        return True
    return False


def _compare(network: nn.Module, path: Path, shape: tuple[int, ...], fixed: int | None) -> None:
    """Refuse a network whose class scores differ from those of ONNX Runtime."""
    (session_type,) = from_library("onnxruntime", "InferenceSession", extra=EXTRA)
    x = example(shape, fixed or COMPARED)
    try:
        session = session_type(str(path), providers=["CPUExecutionProvider"])
        (expected,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        with torch.no_grad():
            scores = torch.from_numpy(expected)
            require_any_batch(network, x, scores, "its conversion to PyTorch")
    except Exception as error:
        way_out = (
            "export it again with a free batch axis" if fixed else "give its state dict instead"
        )
        raise UndoorError(f"{path} cannot be used: {first_line(error)}; {way_out}") from error
