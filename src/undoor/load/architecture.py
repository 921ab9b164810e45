"""Import the callable that builds the network, from a file or a package."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from undoor.errors import UndoorError
from undoor.plain_weights import detached_copy

Architecture = str | nn.Module | Callable[..., Any]


def build(architecture: Architecture, arguments: Mapping[str, Any], folder: Path) -> nn.Module:
    """The untrained network that `architecture` describes; packages may also lie in `folder`.

    Raises
    ------
    UndoorError : the file, module or callable is missing, fails, or returns no `nn.Module`.
    """
    # The weights drawn here are replaced; the caller's random numbers stay as they are.
    with torch.random.fork_rng(devices=[]):
        if not isinstance(architecture, str):
            return _call(architecture, arguments, describe(architecture))
        source, _, name = architecture.rpartition(":")
        with _importable_from(_folders_of(source or architecture, folder)):
            return _call(_target(source, name), arguments, name)


def describe(architecture: Architecture) -> str:
    """A short name of the architecture for messages."""
    if isinstance(architecture, str):
        return architecture.rpartition(":")[2]
    return getattr(architecture, "__name__", type(architecture).__name__)


def is_file(source: str) -> bool:
    """Whether the part of an architecture before the colon is a file, not a package."""
    return source.endswith(".py") or "/" in source or "\\" in source


def _target(source: str, name: str) -> object:
    if not source or not name:
        given = source or name
        offer = f", which offers {_listing(_import(given))}" if given.strip(":") else ""
        raise UndoorError(
            "architecture must be 'file.py:callable' or 'package.module:callable', "
            f"got {given!r}{offer}"
        )
    module = _import(source)
    if not hasattr(module, name):
        raise UndoorError(f"{source} has no {name!r}; it offers {_listing(module)}")
    return getattr(module, name)


def _call(target: object, arguments: Mapping[str, Any], name: str) -> nn.Module:
    if isinstance(target, nn.Module):
        if arguments:
            raise UndoorError(f"{name} is a finished network and takes no arguments; drop them")
        return detached_copy(target)
    if not callable(target):
        raise UndoorError(f"{name} is a {type(target).__name__}; expected a function or a class")
    call = f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
    try:
        network = target(**arguments)
    except TypeError as error:
        raise UndoorError(
            f"{call} failed: {_first_line(error)}; its signature is {name}{_signature(target)}, "
            "set arguments accordingly"
        ) from error
    except (Exception, SystemExit) as error:
        raise UndoorError(
            f"{call} failed with {type(error).__name__}: {_first_line(error)}; "
            "check the architecture and its arguments"
        ) from error
    if not isinstance(network, nn.Module):
        raise UndoorError(
            f"{call} returned a {type(network).__name__}; expected it to return a torch.nn.Module"
        )
    return network


def _folders_of(source: str, folder: Path) -> list[str]:
    folders = [Path(source).parent] if is_file(source) else [Path.cwd(), folder]
    return [str(path.resolve()) for path in folders]


def _import(source: str) -> ModuleType:
    try:
        return _import_file(Path(source)) if is_file(source) else importlib.import_module(source)
    except UndoorError:
        raise
    # A module that calls sys.exit(0) must not pass for a clean verdict.
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == source.partition(".")[0]:
            raise UndoorError(
                f"there is no module {source!r} to import; install it, run from its folder, "
                "or name a file: 'path/to/file.py:callable'"
            ) from error
        raise UndoorError(
            f"importing the architecture {source} failed with {type(error).__name__}: "
            f"{_first_line(error)}"
        ) from error


def _import_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise UndoorError(
            f"the architecture's file {file} does not exist; "
            "a relative path starts at the folder of the model.toml, or at the current one"
        )
    path = file.resolve()
    # One name a file, known to sys.modules: its classes can then be pickled and copied.
    name = f"undoor_architecture_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UndoorError(f"the architecture's file {file} is no Python file; expected a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importable_from(folders: list[str]) -> Iterator[None]:
    """Let the architecture import its neighbours, for as long as it is being built."""
    sys.path[:0] = folders
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for folder in folders:
            if folder in sys.path:
                sys.path.remove(folder)


def _listing(module: ModuleType) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, nn.Module)))
    ]
    return ", ".join(sorted(names)) or "no function or network of its own"


def _signature(target: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(target))
    except (TypeError, ValueError):
        return "(...)"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]
