"""Files that bring their network along: `torch.export`, ONNX, TorchScript."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.load import exported, onnx_network, torch_script
from undoor.load.channels_last import channels_first, first, stands_last
from undoor.load.check import (
    GRAPHS,
    ONNX,
    PT2,
    SCRIPT,
    brings_network,
    examine,
    refuse_unsafe,
)
from undoor.load.graph import Graph
from undoor.load.preprocessing import given
from undoor.load.regular import open_regular
from undoor.load.spec import ClassesTable, GraphTable, InputTable, Tables, checked
from undoor.origin import Origin

READERS = {PT2: exported.read, ONNX: onnx_network.read, SCRIPT: torch_script.read}
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
    """Return whether a file brings its network along."""
    # What there is to say of a missing file, or of a pickle, is for read_state_dict to say, which
    # screens it.
    return path.is_file() and path.suffix != ".safetensors" and brings_network(path)


def of_graph(graph: Graph, tables: Tables, source: Path) -> Classifier:
    """Return the classifier of a graph and of what the tables of a model.toml add.

    Raises
    ------
    UndoorError
        They name an architecture, do not say the shape of an input that the graph leaves open, or
        do not fit the graph; or the network answers otherwise than the file.
    """
    told = sorted(given(tables, "model").keys() - {"weights", "output"})
    if told:
        raise UndoorError(f"{source}: the file brings its own network; leave {told[0]} out")
    model = checked(GraphTable, "model", given(tables, "model"), source)
    own = {"shape": graph.input_shape, **given(tables, "input")}
    table = checked(InputTable, "input", {k: v for k, v in own.items() if v is not None}, source)
    classes = checked(ClassesTable, "classes", given(tables, "classes"), source)
    stored = graph.input_shape
    # The file says it as it is; images are described with their channels first all the same.
    turned = stored is not None and stands_last(stored) and table.shape == first(stored)
    shape = stored if turned and stored is not None else table.shape
    if graph.require_parity is not None:
        graph.require_parity(shape)
    network, shape = channels_first(graph.network, shape)
    return Classifier(
        network,
        input_shape=shape,
        bounds=table.bounds,
        scale=table.scale,
        mean=table.mean,
        std=table.std,
        output=model.output,
        class_names=classes.names,
        space=table.space,
        task=classes.task,
        origin=Origin(graph_sha256=graph.sha256),
    )
