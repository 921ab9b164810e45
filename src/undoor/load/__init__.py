"""From a file to a `Classifier`: one source of models a file, see `LOADERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from undoor.classifier import Classifier
from undoor.device import chosen
from undoor.errors import UndoorError
from undoor.identity.binding import require_fingerprint
from undoor.identity.digests import require_sha256
from undoor.load import hugging_face, native, timm_models
from undoor.load.architecture import Architecture
from undoor.load.regular import require_reachable
from undoor.load.spec import Tables
from undoor.load.trust import NamedCode
from undoor.load.trusted import TrustedPickleWarning, trusted_weights
from undoor.load.weights import read_state_dict
from undoor.vocabulary import DEFAULT_DEVICE, Output

__all__ = [
    "LOADERS",
    "Architecture",
    "Loader",
    "NamedCode",
    "TrustedPickleWarning",
    "code_named_by",
    "load",
    "read_state_dict",
]


@dataclass(frozen=True)
class Loader:
    """A source of models.

    name : what such a file is called in messages.
    recognises : whether it is this loader's; looks at the path, a few bytes and configurations in
        JSON, opens nothing else.
    read : the classifier. The tables are those of a model.toml; values that are None say nothing.
    """

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Tables], Classifier]


NATIVE = Loader("model.toml, checkpoint or graph", lambda path: True, native.read)
# The first that recognises a path reads it; what none recognises is taken for a checkpoint.
LOADERS: tuple[Loader, ...] = (
    Loader("Hugging Face Transformers folder", hugging_face.recognises, hugging_face.read),
    Loader("timm folder", timm_models.recognises, timm_models.read),
    NATIVE,
)


def load(
    model: str | Path,
    *,
    architecture: Architecture | None = None,
    key: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    input_shape: Sequence[int] | None = None,
    bounds: Sequence[float] | None = None,
    scale: float | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    output: Output | None = None,
    class_names: Sequence[str] | None = None,
    space: str | None = None,
    task: str | None = None,
    trust_pickle: bool = False,
    sha256: str | None = None,
    trust_code: bool = False,
    device: str | torch.device = DEFAULT_DEVICE,
) -> Classifier:
    """Read a trained classifier.

    The checkpoint is never executed. The architecture is code and is run: what the caller names at
    once, what only a file of the model names where the caller trusts it. The Python files that ran
    are the `origin.code` of what is returned. The operators of a graph run when the classifier
    does.

    Parameters
    ----------
    model
        A model.toml, a folder that holds one, a folder of Hugging Face Transformers or timm, a
        checkpoint (safetensors, or a state dict written by `torch.save`), or a file that brings its
        network along (`.pt2` of `torch.export`, ONNX, TorchScript). Options given here win over the
        file's.
    architecture
        "file.py:callable", "package.module:callable" of an installed package, "timm:NAME", a
        callable that returns the network, or the network itself. A bare checkpoint needs it, and
        `input_shape` unless the network is timm's.
    key
        Which of several state dicts in a checkpoint, as "state_dict_ema".
    arguments
        Keyword arguments of the architecture's callable.
    input_shape, bounds, scale, mean, std, output, class_names, space, task
        See `Classifier`.
    trust_pickle
        Open a pickle of a whole module, which runs code of whoever wrote it, in a process confined
        as far as the system allows; a `TrustedPickleWarning` says how far. Its weights alone come
        back: the architecture is still the caller's. No file can say this.
    sha256
        What `Classifier.fingerprint` must be, all 64 hexadecimal digits; any model is taken
        without. It is known once the network is built: the architecture's code has run then.
    trust_code
        Run the Python code that a model.toml names as its architecture. Networks of undoor and
        timm, and the image classifiers of torchvision.models, need no trust.
    device
        Where it is to compute: "cpu", "cuda", "cuda:1", "mps", or "auto" for a GPU if there is one.
        Files are read on the CPU.

    Raises
    ------
    UndoorError
        A file is missing, unsafe, damaged, does not fit its architecture, or it is another model
        than `sha256` says; there is no such device, or the model cannot run on it.
    """
    place = chosen(device)
    expected = None if sha256 is None else require_sha256(sha256, "the SHA-256 of the model")
    options: Tables = {
        "model": {
            "architecture": architecture,
            "key": key,
            "arguments": arguments,
            "output": output,
        },
        "input": {
            "shape": input_shape,
            "bounds": bounds,
            "scale": scale,
            "mean": mean,
            "std": std,
            "space": space,
        },
        "classes": {"names": class_names, "task": task},
    }
    path = Path(model)
    try:
        loader = _loader_of(path)
        read = partial(native.read, trust_code=trust_code) if loader is NATIVE else loader.read
        with trusted_weights(path, options) if trust_pickle else nullcontext(options) as told:
            classifier = read(path, told)
        if expected is not None:
            require_fingerprint(classifier, expected)
        return classifier.to(place)
    except UndoorError as error:
        why = str(error)
        raise UndoorError(why if why.startswith(str(model)) else f"{model}: {why}") from error


def code_named_by(model: str | Path) -> NamedCode | None:
    """Return the code that opening a model would run because one of its files names it.

    None for none.

    Raises
    ------
    UndoorError
        A file is malformed, or names code that does not exist or is Python's own.
    """
    path = Path(model)
    return native.code_named_by(path) if _loader_of(path) is NATIVE else None


def _loader_of(path: Path) -> Loader:
    require_reachable(path, "the model", "")
    return next(item for item in LOADERS if item.recognises(path))
