"""From a file to a `Classifier`: a model.toml, a folder holding one, or a bare checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from undoor.classifier import Classifier, Output
from undoor.errors import UndoorError
from undoor.load.architecture import Architecture, build, describe
from undoor.load.spec import read_spec
from undoor.load.weights import load_weights, read_state_dict

__all__ = ["Architecture", "load", "read_state_dict"]


def load(
    model: str | Path,
    *,
    architecture: Architecture | None = None,
    arguments: Mapping[str, Any] | None = None,
    input_shape: Sequence[int] | None = None,
    bounds: Sequence[float] | None = None,
    scale: float | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    output: Output | None = None,
    class_names: Sequence[str] | None = None,
) -> Classifier:
    """Read a trained classifier.

    The checkpoint is never executed; the architecture is code, is the caller's choice and is run.

    Parameters
    ----------
    model : a model.toml, a folder that holds one, or a checkpoint (safetensors, or a state dict
        written by `torch.save`). Options given here win over the file's.
    architecture : "file.py:callable", "package.module:callable", a callable that returns the
        network, or the network itself. A bare checkpoint needs it, and `input_shape`.
    arguments : keyword arguments of the architecture's callable.
    input_shape, bounds, scale, mean, std, output, class_names : see `Classifier`.

    Raises
    ------
    UndoorError : a file is missing, unsafe, damaged, or does not fit its architecture.
    """
    options: dict[str, dict[str, Any]] = {
        "model": {"architecture": architecture, "arguments": arguments, "output": output},
        "input": {"shape": input_shape, "bounds": bounds, "scale": scale, "mean": mean, "std": std},
        "classes": {"names": class_names},
    }
    path = Path(model)
    spec = read_spec(path, options)
    # The file is screened before the architecture's code runs: a refusal should cost nothing.
    state = read_state_dict(spec.model.weights)
    network = build(
        spec.model.architecture,
        spec.model.arguments,
        folder=path if path.is_dir() else path.parent,
    )
    name = describe(spec.model.architecture)
    load_weights(network, state, file=spec.model.weights, architecture=name)
    try:
        return Classifier(
            network,
            input_shape=spec.input.shape,
            bounds=spec.input.bounds,
            scale=spec.input.scale,
            mean=spec.input.mean,
            std=spec.input.std,
            output=spec.model.output,
            class_names=spec.classes.names,
        )
    except UndoorError as error:
        raise UndoorError(f"{model}: {error}") from error
