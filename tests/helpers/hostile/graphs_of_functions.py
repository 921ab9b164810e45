"""ONNX models of functions that call one another: small files, huge once they are inlined."""

from __future__ import annotations

from typing import Any

from onnx import TensorProto, helper

DOMAIN = "com.microsoft"
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]


def function(name: str, callees: list[tuple[str, str]]) -> Any:
    """A function that calls others one behind another."""
    values = ["x", *(f"v{i}" for i in range(len(callees)))]
    nodes = [
        helper.make_node(callee, [values[i]], [values[i + 1]], domain=domain)
        for i, (domain, callee) in enumerate(callees)
    ]
    return helper.make_function(DOMAIN, name, ["x"], values[-1:], nodes, OPSETS)


def doubling(depth: int) -> list[Any]:
    """Functions each of which calls the former twice."""
    first = function("f0", [("", "Relu"), ("", "Relu")])
    return [first] + [function(f"f{i}", [(DOMAIN, f"f{i - 1}")] * 2) for i in range(1, depth)]


def graph(nodes: list[Any], functions: list[Any] | None = None, stored: Any = ()) -> Any:
    """A model of these nodes, from x to y."""
    shape = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 2]) for n in ("x", "y")]
    made = helper.make_graph(nodes, "g", shape[:1], shape[1:], list(stored))
    return helper.make_model(made, functions=functions or [], opset_imports=OPSETS)


def model(depth: int) -> bytes:
    """A model of 2^depth nodes."""
    call = helper.make_node(f"f{depth - 1}", ["x"], ["y"], domain=DOMAIN)
    return bytes(graph([call], doubling(depth)).SerializeToString())
