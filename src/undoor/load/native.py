"""A model.toml, a folder holding one, a bare checkpoint, or a file with its network."""

from __future__ import annotations

from pathlib import Path

from undoor.classifier import Classifier
from undoor.load import timm_models
from undoor.load.architecture import build, describe
from undoor.load.channels_last import channels_first
from undoor.load.check import require_safe
from undoor.load.graph_files import of_graph, read_graph
from undoor.load.lazy_layers import materialise
from undoor.load.spec import Tables, read_spec, read_tables
from undoor.load.weights import load_fitting, read_states


def read(path: Path, options: Tables) -> Classifier:
    """The classifier that `path` and `options` describe; see `read_spec`.

    Raises
    ------
    UndoorError : a file is missing, unsafe, damaged, or does not fit its architecture.
    """
    file, tables = read_tables(path, options)
    model = tables.get("model", {})
    weights = model.get("weights")
    if weights is not None and (graph := read_graph(Path(weights))) is not None:
        return of_graph(graph, tables, file)
    if "architecture" not in model and weights is not None and Path(weights).is_file():
        # That a file is unsafe matters more than that its architecture is missing.
        require_safe(Path(weights))
    if timm_models.is_name(model.get("architecture")):
        return timm_models.read_tables(tables, file)
    spec = read_spec(path, options)
    # The file is screened before the architecture's code runs: a refusal should cost nothing.
    states = read_states(spec.model.weights, key=spec.model.key)
    network = build(
        spec.model.architecture,
        spec.model.arguments,
        folder=path if path.is_dir() else path.parent,
    )
    materialise(network, spec.input.shape)
    name = describe(spec.model.architecture)
    load_fitting(network, states, file=spec.model.weights, architecture=name)
    network, shape = channels_first(network, spec.input.shape)
    return Classifier(
        network,
        input_shape=shape,
        bounds=spec.input.bounds,
        scale=spec.input.scale,
        mean=spec.input.mean,
        std=spec.input.std,
        output=spec.model.output,
        class_names=spec.classes.names,
    )
