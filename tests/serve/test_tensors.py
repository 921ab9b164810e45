"""The Open Inference Protocol: what is read, what is refused, what is answered."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.serving import FakeEngine, inputs, served
from undoor.serve.answers import answers
from undoor.serve.limits import Limits
from undoor.serve.refusal import Refusal
from undoor.serve.tensors import DATATYPES, InferRequest, read_request, response

LIMITS = Limits(batch=4)
MODEL = served()


def document(**changes: Any) -> dict[str, Any]:
    x = inputs(0.1, 0.5)
    tensor = {"name": "images", "datatype": "FP32", "shape": list(x.shape), "data": x.tolist()}
    return {"inputs": [tensor | changes]}


def read(body: Any, length: str | None = None) -> InferRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request(content, length, MODEL, LIMITS)


def test_nested_and_flat() -> None:
    x = inputs(0.1, 0.5)
    assert read(document()).x.tolist() == x.tolist()
    assert read(document(data=x.ravel().tolist())).x.tolist() == x.tolist()
    assert read(document()).x.dtype == np.float32


@pytest.mark.parametrize("kind", DATATYPES)
def test_binary(kind: str) -> None:
    x = inputs(0, 1).astype(DATATYPES[kind])
    size = {"binary_data_size": x.nbytes}
    head = document(datatype=kind, parameters=size)
    del head["inputs"][0]["data"]
    text = json.dumps(head).encode()
    found = read(text + x.tobytes(), str(len(text)))
    assert found.x.tolist() == inputs(0, 1).tolist()


def test_numbers_that_json_lacks_are_inputs_to_be_flagged() -> None:
    text = json.dumps(document()).replace("0.5", "NaN").replace("0.10000000149011612", "1e999")
    x = read(text.encode()).x.reshape(2, -1)
    assert np.isinf(x[0, 0])
    assert np.isnan(x[1, 0])


def without(name: str) -> dict[str, Any]:
    head = document()
    del head["inputs"][0][name]
    return head


WRONG: dict[str, Any] = {
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "a list": [],
    "no inputs": {},
    "two inputs": {"inputs": 2 * document()["inputs"]},
    "inputs of another kind": {"inputs": [3]},
    "another name": document(name="x"),
    "another datatype": document(datatype="BYTES"),
    "a datatype of another kind": document(datatype=[]),
    "no shape": without("shape"),
    "no data": without("data"),
    "another shape": document(shape=[2, 1, 4, 5]),
    "a shape of text": document(shape="2144"),
    "a shape of floats": document(shape=[2.0, 1, 4, 4]),
    "a shape of booleans": document(shape=[True, 1, 4, 4]),
    "a negative shape": document(shape=[-1, 1, 4, 4]),
    "no input": document(shape=[0, 1, 4, 4], data=[]),
    "another count": document(data=[0.0] * 31),
    "ragged": document(data=[[0.0], [0.0, 1.0]]),
    "text": document(data=["a"] * 32),
    "null": document(data=[None] * 32),
    "objects": document(data=[{}] * 32),
    "a huge integer": document(data=[10**400] + [0] * 31),
    "parameters of another kind": document(parameters=3),
    "binary data that is not there": document(parameters={"binary_data_size": 128}),
    "binary data of a size below 0": document(parameters={"binary_data_size": -4}),
    "an id of another kind": document() | {"id": 3},
    "a long id": document() | {"id": "x" * 1000},
    "outputs of another kind": document() | {"outputs": {}},
    "no outputs": document() | {"outputs": []},
    "an unknown output": document() | {"outputs": [{"name": "x"}]},
    "an output of another kind": document() | {"outputs": [None]},
    "binary output of another kind": document() | {"parameters": {"binary_data_output": 1}},
}


@pytest.mark.parametrize("case", WRONG)
def test_refused(case: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(WRONG[case])
    assert caught.value.status == 400
    assert str(caught.value)


@pytest.mark.parametrize("length", ["x", "-1", "999999", "1" * 40, "²"])
def test_lengths_of_json_that_are_none(length: str) -> None:
    with pytest.raises(Refusal, match="Inference-Header-Content-Length"):
        read(document(), length)


def test_too_many_inputs() -> None:
    with pytest.raises(Refusal, match="at most 4 inputs") as caught:
        read(document(shape=[5, 1, 4, 4], data=[0.0] * 80))
    assert caught.value.status == 413


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


def status_of(body: Any) -> int:
    try:
        return 200 if len(read(body).x) else 500
    except Refusal as error:
        return int(error.status)


@given(JSON, st.sampled_from(["name", "datatype", "shape", "data", "parameters"]))
def test_any_json_is_read_or_refused(value: Any, key: str) -> None:
    for body in (value, {"inputs": value}, document(**{key: value}), document() | {key: value}):
        assert status_of(body) in (200, 400, 413)


def test_answer() -> None:
    engine, x = FakeEngine(MODEL), inputs(0.1, 0.5, np.nan)
    request = InferRequest(x, "7", {"label": False, "flagged": False, "score": False})
    body, length = response(MODEL, request, answers(MODEL, x, engine.run(x)), 1)
    found = json.loads(body)
    assert length is None
    assert (found["id"], found["model_name"], found["model_version"]) == ("7", "signs", "1")
    assert found["parameters"] == {"policy": "relabel", "kept": 1}
    label, flagged, score = found["outputs"]
    assert label == {"name": "label", "datatype": "INT64", "shape": [3], "data": [1, 2, -1]}
    assert flagged["data"] == [False, True, True]
    assert score["data"][:2] == [0.25, 3.0]


def test_binary_answer() -> None:
    engine, x = FakeEngine(MODEL), inputs(0.1, 0.5)
    request = InferRequest(x, None, {"logits": True, "label": False, "flagged": True})
    body, length = response(MODEL, request, answers(MODEL, x, engine.run(x)), 0)
    assert length is not None
    head = json.loads(body[:length])
    sizes = [item.get("parameters", {}).get("binary_data_size") for item in head["outputs"]]
    assert sizes == [24, None, 2]
    logits = np.frombuffer(body[length : length + 24], "<f4")
    assert logits.tolist()[:3] == [0, 1, 0]
    assert body[length + 24 :] == b"\x00\x01"
