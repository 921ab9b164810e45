"""A model.toml, a folder holding one, a bare checkpoint, or a file with its network."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import nn

from undoor.classifier import Classifier
from undoor.identity.structure import with_call
from undoor.load import timm_models
from undoor.load.architecture import build, describe
from undoor.load.bounded import build_bounded
from undoor.load.channels_last import channels_first
from undoor.load.check import require_safe
from undoor.load.fitting import load_fitting
from undoor.load.graph_files import is_graph, of_graph, read_graph
from undoor.load.lazy_layers import materialise
from undoor.load.not_a_model import refuse_repair_file
from undoor.load.spec import ModelSpec, Tables, read_spec, read_tables
from undoor.load.trust import NamedCode, code_named, require_trusted
from undoor.load.weights import read_states


def read(path: Path, options: Tables, *, trust_code: bool = False) -> Classifier:
    """Return the classifier that `path` and `options` describe; see `read_spec`.

    Parameters
    ----------
    path
        A model.toml, a folder that holds one, a checkpoint, or a file with its network.
    options
        Tables as of a model.toml, which override those of the file.
    trust_code
        Whether code may run that a file of the model names.

    Raises
    ------
    UndoorError
        A file is missing, unsafe, damaged, or does not fit its architecture.
    """
    file, tables = read_tables(path, options)
    model = tables.get("model", {})
    weights = model.get("weights")
    if weights is not None and (graph := read_graph(Path(weights))) is not None:
        return of_graph(graph, tables, file)
    if "architecture" not in model and weights is not None and Path(weights).is_file():
        # An unsafe file is reported rather than its missing architecture.
        require_safe(Path(weights))
        refuse_repair_file(Path(weights))
    if timm_models.is_name(model.get("architecture")):
        return timm_models.read_tables(tables, file)
    spec = read_spec(path, options)
    by_file = options.get("model", {}).get("architecture") is None
    named = _code_named(spec, file) if by_file else None
    # The file is screened before the architecture's code runs: a refusal should cost nothing.
    states = read_states(spec.model.weights, key=spec.model.key)
    expected = require_trusted(named, trust_code=trust_code)
    make = partial(
        build,
        spec.model.architecture,
        spec.model.arguments,
        folder=file.parent,
        by_file=by_file,
        expected=expected,
    )
    # Nobody has vouched for what a file alone names.
    built = build_bounded(make, states) if by_file and named is None else make()
    materialise(built.network, spec.input.network_shape)
    name = describe(spec.model.architecture)
    load_fitting(built.network, states, file=spec.model.weights, architecture=name)
    classifier = _classifier(built.network, spec)
    # Only now, since a first pass may import as well.
    origin = replace(classifier.origin, code=built.files)
    classifier.origin = with_call(origin, spec.model.architecture, spec.model.arguments)
    return classifier


def _classifier(network: nn.Module, spec: ModelSpec) -> Classifier:
    network, shape = channels_first(network, spec.input.shape)
    tokenizer = spec.input.read_tokenizer()
    return Classifier(
        network,
        input_shape=shape,
        bounds=None if tokenizer else spec.input.bounds,
        scale=spec.input.scale,
        mean=spec.input.mean,
        std=spec.input.std,
        output=spec.model.output,
        class_names=spec.classes.names,
        space=spec.input.space,
        task=spec.classes.task,
        columns=spec.input.described,
        sampling_rate=spec.input.sampling_rate,
        tokenizer=tokenizer,
    )


def code_named_by(path: Path) -> NamedCode | None:
    """Return the code that opening a model would run because a file of the model names it.

    None where there is no such code.

    Raises
    ------
    UndoorError
        Its model.toml is malformed, or names what does not exist.
    """
    if not path.is_dir() and path.suffix != ".toml":
        return None
    file, tables = read_tables(path, {})
    model = tables.get("model", {})
    architecture, weights = model.get("architecture"), model.get("weights")
    if architecture is None or timm_models.is_name(architecture):
        return None
    if isinstance(weights, str | Path) and is_graph(Path(weights)):
        return None
    return _code_named(read_spec(path, {}), file)


def _code_named(spec: ModelSpec, file: Path) -> NamedCode | None:
    return code_named(spec.model.architecture, spec.model.arguments, file.parent)
