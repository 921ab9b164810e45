"""Trees in ONNX files: the same answers as scikit-learn's and as ONNX Runtime's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import undoor
from undoor.errors import UndoorError
from undoor.load.graph_files import read_graph
from undoor.tree_networks import TreeEnsemble

# Written by skl2onnx 1.20 of scikit-learn 1.9, with what predict_proba gives there.
FILES = Path(__file__).parents[1] / "data/trees"
ANSWERS = np.load(FILES / "answers.npz")


@pytest.mark.parametrize("name", ["forest", "forest3", "gradient"])
def test_same_answers(name: str) -> None:
    graph = read_graph(FILES / f"{name}.onnx")
    assert graph is not None
    assert isinstance(graph.network, TreeEnsemble)
    got = graph.network.probabilities(torch.from_numpy(ANSWERS["x"]))
    assert np.abs(got.numpy() - ANSWERS[name]).max() < 1e-6
    assert graph.require_parity is not None
    graph.require_parity((4,))
    with pytest.raises(UndoorError, match="takes 4 numbers of a row, the columns give 5"):
        graph.require_parity((5,))


def test_answers_that_differ_are_refused(tmp_path: Path) -> None:
    """As where a file's trees are not all there is to it."""
    model = onnx.load(FILES / "gradient.onnx")
    graph = read_graph(FILES / "gradient.onnx")
    assert graph is not None
    node = next(n for n in model.graph.node if n.op_type == "TreeEnsembleClassifier")
    weights = next(item for item in node.attribute if item.name == "class_weights")
    weights.floats[0] += 3
    onnx.save(model, tmp_path / "other.onnx")
    other = read_graph(tmp_path / "other.onnx")
    assert other is not None
    assert other.require_parity is not None
    other.network.load_state_dict(graph.network.state_dict())
    with pytest.raises(UndoorError, match="answer otherwise than in ONNX Runtime"):
        other.require_parity((4,))


def test_other_operators_are_refused(tmp_path: Path) -> None:
    model = onnx.load(FILES / "forest.onnx")
    scaler = onnx.helper.make_node("Scaler", ["X"], ["scaled"], domain="ai.onnx.ml")
    model.graph.node.insert(0, scaler)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(UndoorError, match="expected TreeEnsembleClassifier alone"):
        undoor.load(tmp_path / "model.onnx", input_shape=(4,))


def test_trees_that_lead_nowhere(tmp_path: Path) -> None:
    model = onnx.load(FILES / "forest.onnx")
    node = next(n for n in model.graph.node if n.op_type == "TreeEnsembleClassifier")
    attribute = next(item for item in node.attribute if item.name == "nodes_truenodeids")
    attribute.ints[0] = 10_000
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(UndoorError, match="no readable trees"):
        undoor.load(tmp_path / "model.onnx", input_shape=(4,))
