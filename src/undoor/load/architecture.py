"""Build the network that an architecture describes: import its callable, call it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from undoor.errors import UndoorError
from undoor.load.folder_code import FolderCode
from undoor.load.installed import import_installed
from undoor.load.targets import (
    Target,
    name_the_file,
    parse_target,
    require_no_weights,
    without_fetching,
    without_weights,
)
from undoor.origin import CodeFile
from undoor.plain_weights import detached_copy

Architecture = str | nn.Module | Callable[..., Any]


@dataclass(frozen=True)
class Built:
    """An untrained network, and the code of a folder that built it, if any did."""

    network: nn.Module
    code: FolderCode | None = None

    @property
    def files(self) -> tuple[CodeFile, ...]:
        """The Python files that were run so far, without those of installed packages."""
        return self.code.files if self.code else ()


def build(
    architecture: Architecture,
    arguments: Mapping[str, Any],
    folder: Path,
    *,
    by_file: bool = False,
    expected: Mapping[str, str] | None = None,
) -> Built:
    """Return the untrained network that `architecture` describes.

    Parameters
    ----------
    architecture
        "file.py:callable" or "package.module:callable", a callable, or a network.
    arguments
        Keyword arguments of the callable.
    folder
        Of the model. Its modules are found only with `by_file`.
    by_file
        Whether a file of the model names the architecture, and not the caller.
    expected
        SHA-256 by path of the files that may be run; None allows any.

    Raises
    ------
    UndoorError
        The file, module or callable is missing, belongs to Python itself, is neither a network nor
        a function of the module that is named, fails, or returns no `nn.Module`.
    """
    # The weights drawn here are replaced; the caller's random numbers stay as they are.
    with torch.random.fork_rng(devices=[]):
        if not isinstance(architecture, str):
            return Built(_call(architecture, arguments, describe(architecture)))
        target = parse_target(architecture)
        require_no_weights(target, arguments)
        place = target.folder(folder, by_file=by_file)
        if place is None:
            module = _imported(target, lambda: import_installed(target.source, folder))
            value = _named(module, target, module.__name__)
            with without_fetching(target):
                plain = without_weights(target, value, arguments)
                return Built(_call(value, plain, target.name))
        code = FolderCode(place, expected)
        with code.building():
            module = _imported(target, lambda: _import_from(code, target))
            network = _call(_named(module, target, code.name), arguments, target.name)
        return Built(network, code)


def describe(architecture: Architecture) -> str:
    """Return a short name of the architecture for messages."""
    if isinstance(architecture, str):
        return architecture.rpartition(":")[2]
    return getattr(architecture, "__name__", type(architecture).__name__)


def _import_from(code: FolderCode, target: Target) -> ModuleType:
    if target.is_file:
        return code.import_file(Path(target.source).resolve())
    return code.import_module(target.source)


def _imported(target: Target, load: Callable[[], ModuleType]) -> ModuleType:
    source = target.source
    try:
        return load()
    except UndoorError:
        raise
    # A module that calls sys.exit(0) must not pass for a clean verdict.
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == source.partition(".")[0]:
            raise UndoorError(name_the_file(source)) from error
        raise UndoorError(
            f"importing the architecture {source} failed with {type(error).__name__}: "
            f"{_first_line(error)}"
        ) from error


def _named(module: ModuleType, target: Target, home: str) -> object:
    """Return the callable, if it may be called: a network, or a function defined in `home`."""
    source, name = target.source, target.name
    if not hasattr(module, name):
        listing = _listing(module)
        raise UndoorError(f"{source} has no {name!r}; it offers {listing}")
    value = getattr(module, name)
    if isinstance(value, nn.Module) or (inspect.isclass(value) and issubclass(value, nn.Module)):
        return value
    defined_in = str(getattr(value, "__module__", None))
    # Functions of torch load and save files and fetch code (torch.hub.load); none builds a network.
    if not inspect.isfunction(value) or source.partition(".")[0] == "torch":
        kind = "class" if inspect.isclass(value) else type(value).__name__
        raise UndoorError(
            f"{name} of {source} is a {kind}; expected a subclass of torch.nn.Module, "
            f"or a function that is defined in {source}"
        )
    if defined_in != home and not defined_in.startswith(f"{home}."):
        raise UndoorError(
            f"{name} of {source} is a function of the module {defined_in}; expected one that is "
            f"defined in {source}, or a subclass of torch.nn.Module"
        )
    return value


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
    except UndoorError:
        raise
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


def _listing(module: ModuleType) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, nn.Module)))
    ]
    return ", ".join(sorted(names)) or "no function or network"


def _signature(target: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(target))
    except (TypeError, ValueError):
        return "(...)"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]
