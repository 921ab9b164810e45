"""From a file to a `Classifier`; each kind of source has a loader in `LOADERS`."""

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
from undoor.kinds import checked
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
    """A kind of source of models.

    Attributes
    ----------
    name
        What such a source is called in messages.
    recognises
        Whether a path is this loader's; reads a few bytes and configurations in JSON at most.
    read
        Returns the classifier at a path. The tables are those of a model.toml, and override the
        file's; values that are None do not.
    """

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Tables], Classifier]


NATIVE = Loader("model.toml, checkpoint or graph", lambda path: True, native.read)
# The first loader that recognises a path reads it; the last recognises every path.
LOADERS: tuple[Loader, ...] = (
    Loader("Hugging Face Transformers folder", hugging_face.recognises, hugging_face.read),
    Loader("timm folder", timm_models.recognises, timm_models.read),
    NATIVE,
)


@checked
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

    The checkpoint is never executed. The architecture is code and is run: always where the caller
    names it, and where only a file of the model names it, only if the caller trusts it. The Python
    files that ran are in `origin.code` of the classifier. The operators of a graph run when the
    classifier does.

    Parameters
    ----------
    model
        A model.toml, a folder that holds one, a folder of Hugging Face Transformers or timm, a
        checkpoint (safetensors, or a state dict written by `torch.save`), or a file that brings its
        network along (`.pt2` of `torch.export`, ONNX, TorchScript). Options given here override
        those of the file.
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
        as far as the system allows; a `TrustedPickleWarning` reports how. Only its weights are
        returned: the architecture is still the caller's. No file can set this option.
    sha256
        What `Classifier.fingerprint` must be, all 64 hexadecimal digits; None accepts any model. It
        is compared once the network is built, after the architecture's code has run.
    trust_code
        Run the Python code that a model.toml names as its architecture. Networks of undoor and
        timm, and the image classifiers of torchvision.models, need no trust.
    device
        Where the network runs: "cpu", "cuda", "cuda:1", "mps", or "auto" for a GPU if there is one.
        Files are read on the CPU.

    Raises
    ------
    UndoorError
        A file is missing, unsafe or damaged, or does not fit its architecture; the model is not the
        one of `sha256`; there is no such device, or the model cannot run on it.
    """
    place = chosen(device)
    expected = None if sha256 is None else require_sha256(sha256, "the SHA-256 of the model")
    model_options = {"architecture": architecture, "key": key, "arguments": arguments}
    inputs = {"shape": input_shape, "bounds": bounds, "scale": scale, "mean": mean, "std": std}
    options: Tables = {
        "model": {**model_options, "output": output},
        "input": {**inputs, "space": space},
        "classes": {"names": class_names, "task": task},
    }
    path = Path(model)
    try:
        loader = _loader_of(path)
        read = partial(native.read, trust_code=trust_code) if loader is NATIVE else loader.read
        with trusted_weights(path, options) if trust_pickle else nullcontext(options) as plain:
            classifier = read(path, plain)
        if expected is not None:
            require_fingerprint(classifier, expected)
        return classifier.to(place)
    except UndoorError as error:
        reason = str(error)
        named = reason.startswith(str(model))
        raise UndoorError(reason if named else f"{model}: {reason}") from error


def code_named_by(model: str | Path) -> NamedCode | None:
    """Return the code that opening a model would run because a file of the model names it.

    None where there is no such code.

    Raises
    ------
    UndoorError
        A file is malformed, or names code that does not exist or belongs to Python itself.
    """
    path = Path(model)
    return native.code_named_by(path) if _loader_of(path) is NATIVE else None


def _loader_of(path: Path) -> Loader:
    require_reachable(path, "the model", "")
    return next(item for item in LOADERS if item.recognises(path))
