"""Files that hold a network as well as its weights: `torch.export`, ONNX, TorchScript."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.load import exported, onnx_network, torch_script, xgboost_file
from undoor.load.channels_last import channels_first, first, stands_last
from undoor.load.check import (
    GRAPHS,
    ONNX,
    PT2,
    SCRIPT,
    XGBOOST,
    brings_network,
    examine,
    refuse_unsafe,
)
from undoor.load.graph import Graph
from undoor.load.preprocessing import given
from undoor.load.regular import open_regular
from undoor.load.spec import ClassesTable, GraphTable, InputTable, Tables, checked
from undoor.origin import Origin
from undoor.spaces.columns import listed

READERS = {
    PT2: exported.read,
    ONNX: onnx_network.read,
    SCRIPT: torch_script.read,
    XGBOOST: xgboost_file.read,
}
assert set(READERS) == set(GRAPHS)


def read_graph(path: Path) -> Graph | None:
    """Return the network in a file that holds one; None where it is a state dict, or no file.

    Raises
    ------
    UndoorError
        The file is unsafe, damaged, or no classifier.
    """
    if not is_graph(path):
        return None
    sha256 = _sha256(path)
    safety = examine(path)
    refuse_unsafe(path, safety)
    graph = READERS[safety.format](path)
    if _sha256(path) != sha256:
        raise UndoorError(f"{path} changed while it was read; see that nothing writes to it")
    return replace(graph, sha256=sha256)


def _sha256(path: Path) -> str:
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_graph(path: Path) -> bool:
    """Return whether a file holds a network as well as its weights."""
    # Missing files and pickles are reported by read_state_dict, which screens them.
    return path.is_file() and path.suffix != ".safetensors" and brings_network(path)


def of_graph(graph: Graph, tables: Tables, source: Path) -> Classifier:
    """Return the classifier of a graph, completed by the tables of a model.toml.

    Parameters
    ----------
    graph
        From `read_graph`.
    tables
        Of a model.toml.
    source
        Where the tables come from, for messages.

    Raises
    ------
    UndoorError
        The tables name an architecture, lack an input shape that the graph leaves open, or do not
        fit the graph; or the network's scores differ from those of the file.
    """
    unexpected = sorted(given(tables, "model").keys() - {"weights", "output"})
    if unexpected:
        raise UndoorError(
            f"{source}: the file holds its network, so that no {unexpected[0]} is expected; leave "
            f"{unexpected[0]} out"
        )
    model = checked(GraphTable, "model", given(tables, "model"), source)
    given_inputs = given(tables, "input")
    # The graph takes what the network sees of a row, not the row.
    shape = None if given_inputs.get("columns") else graph.input_shape
    inputs = {"shape": shape, **given_inputs}
    table = checked(InputTable, "input", {k: v for k, v in inputs.items() if v is not None}, source)
    classes = checked(ClassesTable, "classes", given(tables, "classes"), source)
    declared = graph.input_shape
    # A file may declare channels last, where a model.toml describes the same images channels first.
    turned = declared is not None and stands_last(declared) and table.shape == first(declared)
    shape = declared if turned and declared is not None else table.shape
    if graph.require_parity is not None:
        graph.require_parity(table.network_shape if table.columns else shape)
    _require_order(graph.names, tuple(column.name for column in table.described), source)
    network, shape = channels_first(graph.network, shape)
    tokenizer = table.read_tokenizer()
    return Classifier(
        network,
        input_shape=shape,
        bounds=None if tokenizer else table.bounds,
        scale=table.scale,
        mean=table.mean,
        std=table.std,
        output=model.output,
        class_names=classes.names,
        space=table.space,
        task=classes.task,
        columns=table.described,
        sampling_rate=table.sampling_rate,
        tokenizer=tokenizer,
        origin=Origin(graph_sha256=graph.sha256),
    )


def _require_order(trained: Sequence[str], described: Sequence[str], source: Path) -> None:
    """Refuse columns in another order than the file has them: all answers would be wrong."""
    if sorted(trained) == sorted(described) and list(trained) != list(described):
        raise UndoorError(
            f"{source}: expected the columns in the order of the training, {listed(trained)}, got "
            f"{listed(described)}; sort [input] of the model.toml in this way"
        )
