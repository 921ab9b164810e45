"""Exported graphs are cut in two, and give what they give as a whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

import undoor
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier, random_inputs
from undoor.deploy.graph import ServedGraph
from undoor.errors import UndoorError
from undoor.vocabulary import EXPORT_BARE, EXPORT_INPUT, EXPORT_OUTPUTS

BOUNDS = (0.0, 1.0)
# The model predicts some inputs as it, and more as another class.
TARGET = 2


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    model = random_classifier("mlp_norm")
    file = tmp_path_factory.mktemp("exported") / "guarded.onnx"
    return undoor.export(model, make_repair(model, (TARGET,)), file).file.read_bytes()


@pytest.fixture
def x() -> NDArray[np.float32]:
    return random_inputs(random_classifier("mlp_norm"), 60).numpy()


def graph_of(content: bytes) -> ServedGraph:
    return ServedGraph(Path("x.onnx"), content)


def as_target(bare: NDArray[Any]) -> NDArray[np.bool_]:
    return bare.argmax(1) == TARGET


def as_a_whole(content: bytes, x: NDArray[Any]) -> list[NDArray[Any]]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(list(EXPORT_OUTPUTS), {EXPORT_INPUT: x})
    return found


def test_the_outputs_are_those_of_the_whole(content: bytes, x: NDArray[np.float32]) -> None:
    """Of odd inputs, too, in whatever batch."""
    for row, value in zip(x, (np.nan, np.inf, BOUNDS[1] + 1, BOUNDS[0] - 1), strict=False):
        row[0] = value
    graph = graph_of(content)
    assert graph.is_cut
    for batch in (x, x[:1], x[4:], x[7:8]):
        found = graph.run(batch, as_target, BOUNDS)[0]
        for got, expected in zip(found, as_a_whole(content, batch), strict=True):
            assert got.dtype == expected.dtype
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    assert graph.run(x, as_target, BOUNDS)[0][1][:4].all()


def test_what_is_no_target_does_not_go_on(content: bytes, x: NDArray[np.float32]) -> None:
    """Nor does a batch of such inputs alone, of which nothing is left for the second part."""
    graph = graph_of(content)
    seen: list[int] = []
    first, rest = graph._parts
    (bare,) = first.run([EXPORT_BARE], {EXPORT_INPUT: x})
    to_go_on = as_target(bare)

    class Counted:
        def run(self, names: list[str], given: dict[str, NDArray[Any]]) -> Any:
            seen.append(len(given[EXPORT_INPUT]))
            return rest.run(names, given)

    graph._parts = [first, Counted()]
    graph.run(x, as_target, BOUNDS)
    assert seen == [to_go_on.sum()]
    assert 0 < to_go_on.sum() < len(x)
    graph.run(x[~to_go_on], as_target, BOUNDS)
    assert len(seen) == 1


def test_files_without_the_place_run_as_a_whole(content: bytes, x: NDArray[np.float32]) -> None:
    """As older ones."""
    model = onnx.load_from_string(content)
    left = [value for value in model.graph.value_info if value.name != EXPORT_BARE]
    del model.graph.value_info[:]
    model.graph.value_info.extend(left)
    older = model.SerializeToString()
    graph = graph_of(older)
    assert not graph.is_cut
    found, bare = graph.run(x, as_target, BOUNDS)
    assert bare is None
    for got, expected in zip(found, as_a_whole(older, x), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_without_the_library_too(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert not graph_of(content).is_cut


def test_it_is_opened_once(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large network would stand in memory twice while a service starts."""
    made: list[bytes] = []
    opened = onnxruntime.InferenceSession

    def session(given: bytes, *others: Any, **options: Any) -> Any:
        made.append(given)
        return opened(given, *others, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    graph = graph_of(content)
    assert len(made) == 2
    assert content not in made
    (taken,) = graph.inputs
    assert (taken[0], set(graph.outputs)) == (EXPORT_INPUT, set(EXPORT_OUTPUTS))
    assert graph.description == opened(content).get_modelmeta().custom_metadata_map


def test_no_graph_is_refused() -> None:
    with pytest.raises(UndoorError, match=r"x\.onnx: expected an ONNX file of undoor export"):
        graph_of(b"no graph")
