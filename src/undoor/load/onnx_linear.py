"""Linear layers in ONNX graphs that are written as a product and a sum.

scikit-learn and Keras write them in this way. A network can be corrected only at whole layers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from undoor.load.hub import from_library
from undoor.load.onnx_file import EXTRA


def as_layers(model: Any) -> None:
    """Replace products with a stored weight, and the sums with a bias after them, by Gemm nodes.

    A MatMul is replaced where its weight is [K, N] and its input is known to have two axes, along
    with the Add of a stored bias [N] or [1, N] that follows. Other nodes are not changed.
    """
    (infer_shapes,) = from_library("onnx.shape_inference", "infer_shapes", extra=EXTRA)
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    known = infer_shapes(model).graph
    axes = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*known.input, *known.value_info)
        if value.type.tensor_type.HasField("shape")
    }
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(value.name for value in graph.output)
    sums = {name: node for node in graph.node if node.op_type == "Add" for name in node.input}
    for product in [node for node in graph.node if node.op_type == "MatMul"]:
        x, weight = product.input
        if axes.get(x) != 2 or weight not in stored or len(stored[weight].dims) != 2:
            continue
        added = sums.get(product.output[0])
        bias = None
        if added is not None and uses[product.output[0]] == 1:
            bias = next((name for name in added.input if name in stored), None)
        width = stored[weight].dims[1]
        if bias is not None and list(stored[bias].dims) in ([width], [1, width]):
            _as_layer(graph, product, added, stored[bias])
        else:
            product.op_type = "Gemm"


def _as_layer(graph: Any, product: Any, added: Any, bias: Any) -> None:
    from_array, to_array = from_library("onnx.numpy_helper", "from_array", "to_array", extra=EXTRA)
    # Others may use the stored bias as it is.
    flat = from_array(to_array(bias).reshape(-1), f"{product.output[0]}/{bias.name}")
    graph.initializer.append(flat)
    product.op_type = "Gemm"
    product.input.append(flat.name)
    product.output[0] = added.output[0]
    graph.node.remove(added)
