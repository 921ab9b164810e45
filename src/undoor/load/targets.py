"""Parse "file.py:callable" and "package.module:callable", without importing anything."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from undoor.errors import UndoorError
from undoor.files import other_spelling
from undoor.load.folder_code import located, read_source
from undoor.load.installed import is_installed, is_standard, is_standard_file, loose_places

# Arguments with which torchvision fetches weights; the network gets those of the checkpoint.
FETCHING = ("weights", "weights_backbone", "pretrained", "pretrained_backbone")

# New names of modules that models of earlier versions name.
MOVED = {"undoor.bench.networks": "undoor.networks"}


class ForbiddenTargetError(UndoorError):
    """An architecture that is never run, even if it is trusted; `architecture` names it."""

    def __init__(self, message: str, architecture: str) -> None:
        super().__init__(message)
        self.architecture = architecture


@dataclass(frozen=True)
class Target:
    """A callable that builds a network.

    Attributes
    ----------
    source
        A Python file, or the name of a module.
    name
        Name of the callable in it.
    """

    source: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether the source is a file, not a module."""
        return is_file(self.source)

    def folder(self, model_folder: Path, *, by_file: bool) -> Path | None:
        """Return the folder with its code; None where it is installed.

        Parameters
        ----------
        model_folder
            The folder of the model.
        by_file
            Whether a file of the model names the callable: its folder may then hold the module.

        Raises
        ------
        UndoorError
            The file does not exist, or the module is not installed.
        """
        if self.is_file:
            file = Path(self.source)
            if not file.is_file():
                raise UndoorError(
                    f"the architecture's file {file} does not exist{other_spelling(file)}; a "
                    "relative path starts at the folder of the model.toml, or at the current one"
                )
            return file.resolve().parent
        root = self.source.partition(".")[0]
        loose = [*loose_places(), Path.cwd(), model_folder.resolve()]
        if is_installed(root, loose):
            return None
        if by_file and located(model_folder, root) is not None:
            return model_folder.resolve()
        raise UndoorError(name_the_file(self.source))


def is_file(source: str) -> bool:
    """Return whether the part of an architecture before the colon is a file, not a package."""
    return source.endswith(".py") or "/" in source or "\\" in source


def name_the_file(source: str) -> str:
    """Return the message about a module that is not installed."""
    return (
        f"there is no module {source!r} to import among the installed packages; install it, "
        "or name the file: path/to/file.py:callable"
    )


def parse_target(architecture: str) -> Target:
    """Return the file or module, and the callable in it.

    Raises
    ------
    UndoorError
        The architecture is neither "file.py:callable" nor "package.module:callable", or names a
        part of Python itself, which has no networks.
    """
    source, _, name = architecture.rpartition(":")
    given = source or name
    if source and is_file(source):
        _require_own_file(Path(source), architecture)
    elif given and is_standard(given):
        raise ForbiddenTargetError(
            f"{architecture!r} belongs to Python itself, which has no networks; expected "
            "'file.py:callable' or 'package.module:callable'",
            architecture,
        )
    if not source or not name:
        if given.strip(":") and not is_file(given) and not is_installed(given.partition(".")[0]):
            raise UndoorError(name_the_file(given))
        raise UndoorError(
            "architecture must be 'file.py:callable' or 'package.module:callable', "
            f"got {given!r}{_offer(given)}"
        )
    if not name.isidentifier():
        raise UndoorError(
            f"{name!r} is no name of a function or class in {source}; expected one name after "
            "the colon, without dots"
        )
    if not is_file(source) and not all(part.isidentifier() for part in source.split(".")):
        raise UndoorError(f"{source!r} is neither a .py file nor the name of a module")
    return Target(MOVED.get(source, source), name)


def require_no_weights(target: Target, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that would make torchvision download weights.

    Raises
    ------
    UndoorError
        There is such an argument.
    """
    fetching = [name for name in FETCHING if arguments.get(name)]
    if fetching and _is_torchvision(target):
        raise UndoorError(
            f"arguments: {fetching[0]} = {arguments[fetching[0]]!r} would download weights; leave "
            "it out, the weights are those of the checkpoint"
        )


@contextmanager
def without_fetching(target: Target) -> Iterator[None]:
    """Keep torchvision from fetching weights, whatever its functions are called with.

    Raises
    ------
    UndoorError
        A function was about to fetch some.
    """
    interface = sys.modules.get("torchvision.models._api")
    kind = getattr(interface, "WeightsEnum", None)
    if kind is None or not _is_torchvision(target):
        yield
        return

    def refuse(*_: object, **__: object) -> NoReturn:
        raise UndoorError(
            f"{target.source}:{target.name} would download weights; expected a network without "
            f"any: set {', '.join(FETCHING[:2])} to None, or name another function"
        )

    fetch = kind.get_state_dict
    kind.get_state_dict = refuse
    try:
        yield
    finally:
        kind.get_state_dict = fetch


def without_weights(
    target: Target, function: object, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return arguments with which a function of torchvision fetches no weights.

    Some functions have weights as a default, such as those of a backbone. For functions of other
    packages the arguments are returned as given.
    """
    if not _is_torchvision(target) or not callable(function):
        return dict(arguments)
    accepted = inspect.signature(function).parameters
    plain = {name: value for name, value in arguments.items() if name not in FETCHING}
    return plain | {name: None for name in FETCHING if name in accepted}


def _is_torchvision(target: Target) -> bool:
    return target.source.partition(".")[0] == "torchvision"


def _require_own_file(file: Path, architecture: str) -> None:
    if is_standard_file(file):
        raise ForbiddenTargetError(
            f"{file} belongs to Python itself, which has no networks; expected another file",
            architecture,
        )
    if file.is_file() and file.suffix != ".py":
        raise UndoorError(f"the architecture's file {file} is no Python file; expected a .py file")


def _offer(source: str) -> str:
    """Return the functions and classes of a file, from its text."""
    file = Path(source)
    if not is_file(source) or not file.is_file():
        return ""
    try:
        tree = ast.parse(read_source(file))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    kinds = (ast.FunctionDef, ast.ClassDef)
    names = [node.name for node in tree.body if isinstance(node, kinds)]
    shown = ", ".join(sorted(name for name in names if not name.startswith("_")))
    return f", which offers {shown}" if shown else ""
