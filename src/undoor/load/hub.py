"""Common parts of loaders of models from public hubs, which fetch nothing and run no code."""

from __future__ import annotations

import codecs
import importlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError, first_line
from undoor.extras import Extra, how_to_install
from undoor.load.installed import loose_places, require_installed, without_places
from undoor.load.mistaken import read_text
from undoor.load.torchvision_import import torchvision_importable
from undoor.vocabulary import MODEL_FILE

CONFIG = "config.json"
SWITCH = "HF_HUB_OFFLINE"
LARGEST_TEXT = 20_000_000
# Libraries that import torchvision; the converter does so for operators of detectors alone.
CONVERTER = "onnx2torch"
USERS = frozenset({"transformers", "timm", CONVERTER})


def from_library(library: str, *names: str, extra: Extra) -> tuple[Any, ...]:
    """Import attributes of an optional library.

    Parameters
    ----------
    library
        Name of the module.
    names
        Of its attributes.
    extra
        The extra of undoor that installs it.

    Raises
    ------
    UndoorError
        It is not installed, has no such attribute, or does not import here.
    """
    root = library.partition(".")[0]
    try:
        require_installed(root)
        # Their own imports are not taken from loose folders either.
        with without_places([Path.cwd(), *loose_places()]), _torchvision_for(root):
            importlib.import_module(root)
            module = importlib.import_module(library)
            return tuple(getattr(module, name) for name in names)
    # A library that does not import may raise anything.
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == root:
            raise UndoorError(f"this model needs {root}; {how_to_install(extra)}") from error
        raise UndoorError(
            f"{library} is installed but gives no {', '.join(names)} here "
            f"({first_line(_cause(error))}); {how_to_install(extra)}, with -U for newer versions, "
            "and see that torchvision, if there is one, belongs to this torch"
        ) from error


@contextmanager
def offline(extra: Extra) -> Iterator[None]:
    """Keep libraries from reaching the hub; the previous setting is restored afterwards.

    Parameters
    ----------
    extra
        The extra of undoor that installs the hub's library.
    """
    (switch,) = from_library("huggingface_hub.constants", SWITCH, extra=extra)
    constants = sys.modules["huggingface_hub.constants"]
    given = os.environ.get(SWITCH)
    os.environ[SWITCH] = "1"
    setattr(constants, SWITCH, True)
    try:
        with without_places([Path.cwd(), *loose_places()]), torchvision_importable():
            yield
    finally:
        setattr(constants, SWITCH, switch)
        if given is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = given


def _torchvision_for(library: str) -> AbstractContextManager[None]:
    if library not in USERS:
        return nullcontext()
    return torchvision_importable(stand_in=library == CONVERTER)


def folder_of(path: Path) -> Path:
    """Return the folder of a model, given the folder or its config.json."""
    return path.parent if path.name == CONFIG else path


def config_says(path: Path, key: str) -> bool:
    """Return whether there is a config.json with this key, and no model.toml.

    A model.toml takes precedence.

    Raises
    ------
    UndoorError
        The config.json cannot be read.
    """
    folder = folder_of(path)
    if not (folder / CONFIG).is_file() or (path.is_dir() and (folder / MODEL_FILE).exists()):
        return False
    return key in read_json(folder / CONFIG)


def read_json(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises
    ------
    UndoorError
        It is missing, too large for a configuration, or holds no JSON object.
    """
    if not file.is_file():
        raise UndoorError(f"{file} does not exist; copy the whole folder of the model")
    if file.stat().st_size > LARGEST_TEXT:
        raise UndoorError(f"{file} has {file.stat().st_size:,} bytes; expected a small JSON file")
    try:
        content = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise UndoorError(
            f"{file} is not readable JSON ({first_line(error)}); copy it again"
        ) from error
    if not isinstance(content, dict):
        raise UndoorError(f"{file} holds a {type(content).__name__}; expected a JSON object")
    return content


def require_unmarked(file: Path) -> None:
    """Refuse a byte-order mark in a text that a library reads itself, and would fail on.

    Raises
    ------
    UndoorError
        The file begins with a byte-order mark.
    """
    if file.is_file() and file.read_bytes()[:3] == codecs.BOM_UTF8:
        raise UndoorError(
            f"{file} begins with a byte-order mark, which the library does not read; save it again "
            "as UTF-8 without one (PowerShell 7: Out-File -Encoding utf8NoBOM)"
        )


def require_depth(values: Mapping[str, Any], tensors: int, file: Path) -> None:
    """Refuse a description of more layers than there are tensors, before any is built.

    Raises
    ------
    UndoorError
        A key about layers or depth has a number above `tensors`.
    """
    for key, value in values.items():
        parts = value if isinstance(value, list | tuple) else [value]
        counts = [part for part in parts if isinstance(part, int)]
        if ("layer" in key or "depth" in key) and sum(counts) > tensors:
            raise UndoorError(
                f"{file} describes a network far larger than the {tensors} tensors stored ({key} = "
                f"{value}); check that it and the weights belong together"
            )


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
