"""Hashes of the code of classes and functions that no installed package contains."""

from __future__ import annotations

import hashlib
import inspect
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

from undoor.origin import CodeFile

PACKAGES = frozenset({"site-packages", "dist-packages"})
NO_SOURCE = "no source"
GENERATED = "<string>"
# By class or function, as first seen: its file may change later, but the class does not.
_seen: WeakKeyDictionary[Any, CodeFile | None] = WeakKeyDictionary()


def code_of(item: type | Any) -> CodeFile | None:
    """Return the code of a class or function; None if an installed package or Python has it.

    The hash covers the whole file, which mostly holds what the code calls, too. Without a file
    (notebooks, `exec`), it covers the source that Python remembers, or else the bytecode.

    Parameters
    ----------
    item
        A class or a function.

    Returns
    -------
    CodeFile
        Its path is empty if there is no file.
    """
    try:
        if item not in _seen:
            _seen[item] = _code_of(item)
        return _seen[item]
    except TypeError:  # what cannot be hashed or referred to weakly
        return _code_of(item)


def is_installed(file: str) -> bool:
    """Return whether a Python file belongs to an installed package, to Python or to undoor."""
    if file.startswith("<frozen"):
        return True
    path = Path(file).resolve()
    if PACKAGES & set(path.parts):
        return True
    return any(path.is_relative_to(folder) for folder in _installed_folders())


@cache
def _installed_folders() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    return (*(Path(folder).resolve() for folder in folders if folder), _undoor())


def _undoor() -> Path:
    return Path(__file__).resolve().parents[1]


def _code_of(item: Any) -> CodeFile | None:
    files = _files_of(item)
    foreign = [file for file in files if not is_installed(file)]
    for file in foreign:
        try:
            return CodeFile(file, hashlib.sha256(Path(file).read_bytes()).hexdigest())
        except (OSError, ValueError):
            continue
    # Without any file, it is written in C, where Python finds no code, or made from a text.
    return _without_file(item) if foreign or (not files and any(_codes(item))) else None


def _without_file(item: Any) -> CodeFile:
    try:
        text = inspect.getsource(item)
    except (OSError, TypeError):
        text = NO_SOURCE + "".join(_described(code) for code in _codes(item))
    return CodeFile("", hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def _files_of(item: Any) -> list[str]:
    """Return the files that the code was compiled from, or else the file of its module."""
    # Methods that dataclasses and named tuples generate do not show where a class is defined.
    names = (code.co_filename for code in _codes(item))
    files = list(dict.fromkeys(name for name in names if name != GENERATED))
    if files:
        return files
    module = sys.modules.get(getattr(item, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    return [os.fspath(file)] if file else []


def _codes(item: Any) -> Iterator[CodeType]:
    """Yield the code of a function, or of all methods that a class itself defines."""
    members = vars(item).values() if isinstance(item, type) else (item,)
    for member in members:
        function = member.fget if isinstance(member, property) else member
        function = getattr(function, "__func__", function)
        # The decorator of a package hides the function that it wraps.
        if callable(function):
            function = inspect.unwrap(function)
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            yield code


def _described(code: CodeType) -> str:
    """Return names, constants and instructions of bytecode, without line numbers."""
    constants = [
        _described(value) if isinstance(value, CodeType) else repr(value)
        for value in code.co_consts
    ]
    return repr((code.co_name, code.co_names, code.co_varnames, constants, code.co_code))
