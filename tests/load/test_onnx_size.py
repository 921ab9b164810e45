"""ONNX files that are small and stand for huge models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from helpers.hostile.graphs_of_functions import DOMAIN, OPSETS, doubling, function, graph
from undoor.errors import UndoorError
from undoor.load import onnx_size
from undoor.load.onnx_file import screen_onnx
from undoor.load.onnx_size import MAX_FIELDS, count_fields


def whys(folder: Path, model: Any) -> list[str]:
    file = folder / "m.onnx"
    file.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    started = time.monotonic()
    found = [breach.why for breach in screen_onnx(file)]
    assert time.monotonic() - started < 10
    return found


CALL = [helper.make_node("f9", ["x"], ["y"], domain=DOMAIN)]


def test_doubling_functions(tmp_path: Path) -> None:
    """2^40 nodes in some KB: whoever infers shapes of them never ends."""
    call = [helper.make_node("f39", ["x"], ["y"], domain=DOMAIN)]
    bomb = graph(call, doubling(40)).SerializeToString()
    assert len(bomb) < 10_000
    assert whys(tmp_path, bomb) == [
        "it has more than 100,000 nodes, those of functions counted at each call"
    ]
    assert whys(tmp_path, graph(CALL, doubling(10))) == []


def test_functions_within_graphs_of_functions(tmp_path: Path) -> None:
    inner = helper.make_graph(CALL * 99, "inner", [], [])
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    outer = helper.make_function(DOMAIN, "outer", ["x"], ["y"], [branch], OPSETS)
    call = helper.make_node("outer", ["x"], ["y"], domain=DOMAIN)
    assert "100,000 nodes" in whys(tmp_path, graph([call], [*doubling(10), outer]))[0]


def test_functions_that_call_themselves(tmp_path: Path) -> None:
    circle = [function("f9", [(DOMAIN, "f8")]), function("f8", [(DOMAIN, "f9")])]
    assert whys(tmp_path, graph(CALL, circle)) == ["its functions call themselves"]
    twice = [function("f9", [("", "Relu")])] * 2
    assert "two of its functions have one name" in whys(tmp_path, graph(CALL, twice))


def test_long_chains_of_functions(tmp_path: Path) -> None:
    chain = [function("f0", [("", "Relu")])]
    chain += [function(f"f{i}", [(DOMAIN, f"f{i - 1}")]) for i in range(1, 2000)]
    call = helper.make_node("f1999", ["x"], ["y"], domain=DOMAIN)
    assert whys(tmp_path, graph([call], chain)) == []


def test_functions_with_operators_of_their_own(tmp_path: Path) -> None:
    evil = helper.make_function(
        DOMAIN, "f9", ["x"], ["y"], [helper.make_node("A", ["x"], ["y"], domain="evil")],
        [helper.make_opsetid("evil", 1)],
    )  # fmt: skip
    assert "operators of 'evil'" in whys(tmp_path, graph(CALL, [evil]))[0]


def test_tensors_that_nobody_stored(tmp_path: Path) -> None:
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    for dims in ([2**40], [2**20, 2**20], [-1], [1] * 65):
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=bytes(8))
        (why,) = whys(tmp_path, graph(relu, stored=[tensor]))
        assert why.startswith("its tensor 'w' ")
    kinds = ("float32", "float64", "int64", "uint8", "bool", "float16")
    stored = [numpy_helper.from_array(numpy_helper.to_array(
        helper.make_tensor(kind, helper.np_dtype_to_tensor_dtype(__import__("numpy").dtype(kind)),
                           [3], [1, 0, 1])), kind) for kind in kinds]  # fmt: skip
    typed = helper.make_tensor("typed", TensorProto.FLOAT16, [2, 2], [1.0, 2.0, 3.0, 4.0])
    four = helper.make_tensor("four", TensorProto.INT4, [5], [1, 2, 3, 4, 5])
    assert whys(tmp_path, graph(relu, stored=[*stored, typed, four])) == []


@pytest.mark.parametrize("kind", ["ConstantOfShape", "Expand", "Tile", "RandomNormal"])
def test_stored_shapes_that_fill_memory(tmp_path: Path, kind: str) -> None:
    inputs = {"ConstantOfShape": ["s"], "RandomNormal": []}.get(kind, ["x", "s"])
    for sizes, count in (([2**20, 2**20], 1), ([4, 4], 0)):
        shape: dict[str, Any] = {"shape": sizes} if kind == "RandomNormal" else {}
        node = helper.make_node(kind, inputs, ["y"], **shape)
        stored = helper.make_tensor("s", TensorProto.INT64, [2], sizes)
        constant = helper.make_node("Constant", [], ["s"], value=stored)
        for made in (graph([node], stored=[stored]), graph([constant, node])):
            assert len(whys(tmp_path, made)) == count


def test_names_are_text(tmp_path: Path) -> None:
    bad = graph([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString()
    bad = bad.replace(b"Relu", b"\xff\xfe\xfd\xfc")
    with pytest.raises(UndoorError, match=r"no readable ONNX file .*utf-8"):
        whys(tmp_path, bad)


def test_empty_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = b"\x0a\x00" * 1000
    graph = b"\x3a" + b"\xd0\x0f" + nodes
    assert count_fields(graph, ModelProto.DESCRIPTOR) == 1001
    monkeypatch.setattr(onnx_size, "MAX_FIELDS", 500)
    assert count_fields(graph, ModelProto.DESCRIPTOR) == 501
    monkeypatch.undo()
    file = tmp_path / "m.onnx"
    file.write_bytes(b"\x3a" + b"\xc2\x9a\x0c" + b"\x0a\x00" * 100_000 + b"\x0a\x00")
    assert MAX_FIELDS >= 1_000_000
    assert "more than 100,000 nodes" in screen_onnx(file)[0].why
    for damaged in (b"\x3a\xff", b"\x3a\x05\x0a", b"\x0b", b"\xff" * 20):
        with pytest.raises(ValueError, match=r"field|number"):
            count_fields(damaged, ModelProto.DESCRIPTOR)
