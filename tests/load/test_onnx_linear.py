"""Products and sums of other frameworks' exporters become layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import undoor
from undoor.load.onnx_linear import as_layers
from undoor.sites import find_sites

# Written by skl2onnx 1.20.0: an MLPClassifier of scikit-learn with layers of 10 and 8 for 12
# numbers, of which each of three classes has four that are larger; its probabilities alone.
SKLEARN = Path(__file__).parents[1] / "data" / "sklearn_mlp.onnx"


def numbers(per_class: int) -> undoor.CleanSet:
    rng = np.random.default_rng(1)
    y = np.arange(3 * per_class) % 3
    x = rng.normal(0.3, 0.1, (len(y), 12))
    for k in range(3):
        x[y == k, 4 * k : 4 * k + 4] += 0.4
    return undoor.CleanSet(
        torch.tensor(x.clip(0, 1), dtype=torch.float32), torch.tensor(y, dtype=torch.int64)
    )


def test_scikit_learn_is_scanned_and_repaired() -> None:
    classifier = undoor.load(SKLEARN, output="probabilities", bounds=(0.0, 1.0))
    clean = numbers(10)
    assert float((classifier.predict(clean.images) == clean.labels).float().mean()) > 0.9
    assert [site.shape for site in find_sites(classifier)] == [(12,), (10,), (8,)]
    report = undoor.scan(classifier, clean)
    assert report.verdict in ("clean", "inconclusive")
    (target,) = undoor.repair(classifier, clean, report, suspects=1).targets
    assert {name.rpartition(".")[2] for name in target.corrections} <= {"MatMul", "MatMul1"}
    assert target.corrections


def graph_of(shape: list[int | str], bias: list[int], *, twice: bool = False) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    stored = [
        numpy_helper.from_array(rng.normal(size=size).astype(np.float32), name)
        for name, size in (("weight", [4, 3]), ("bias", bias))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Add", ["bias", "product"], ["sum"]),
        helper.make_node("Mul", ["sum", "product" if twice else "sum"], ["out"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize(
    ("shape", "bias", "twice", "layers"),
    [
        ([4], [3], False, ["Gemm", "Mul"]),
        ([4], [1, 3], False, ["Gemm", "Mul"]),
        # Sequences, biases for other axes, and products that something else needs too.
        ([5, 4], [3], False, ["MatMul", "Add", "Mul"]),
        ([4], [1], False, ["Gemm", "Add", "Mul"]),
        ([4], [3], True, ["Gemm", "Add", "Mul"]),
    ],
)
def test_same_answers(shape: list[int], bias: list[int], twice: bool, layers: list[str]) -> None:
    model = graph_of(["n", *shape], bias, twice=twice)
    x = np.random.default_rng(1).normal(size=[2, *shape]).astype(np.float32)
    before = answers(model, x)
    as_layers(model)
    assert [node.op_type for node in model.graph.node] == layers
    np.testing.assert_allclose(answers(model, x), before, rtol=1e-5, atol=1e-6)


def test_a_bias_that_others_use_keeps_its_shape() -> None:
    model = graph_of(["n", 4], [1, 3])
    model.graph.node.append(helper.make_node("Concat", ["out", "bias"], ["both"], axis=0))
    model.graph.output[0].name = "both"
    x = np.ones((2, 4), dtype=np.float32)
    before = answers(model, x)
    as_layers(model)
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Mul", "Concat"]
    np.testing.assert_allclose(answers(model, x), before, rtol=1e-5, atol=1e-6)


def answers(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (out,) = session.run(None, {"x": x})
    return np.asarray(out)
