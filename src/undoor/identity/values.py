"""Python values in a text form that is equal in every process and on every machine."""

from __future__ import annotations

import enum
import functools
import hashlib
import operator
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from undoor.identity.source import code_of
from undoor.identity.tensors import tensor_sha256
from undoor.origin import CodeFile

MAX_DEPTH = 12
PICKERS = (operator.itemgetter, operator.attrgetter, operator.methodcaller)
NAMELESS = (torch.dtype, torch.layout, torch.memory_format, torch.Generator)


class Values:
    """Describes values, and collects the code of the classes and functions among them.

    Parameters
    ----------
    nested
        Describes a torch module in a place where torch does not look for modules.
    """

    def __init__(self, nested: Callable[[nn.Module], Any]) -> None:
        self.code: dict[str, CodeFile] = {}
        self._nested = nested
        # By its id, each object that is being described, since it may be its own attribute.
        self._open: dict[int, int] = {}

    def kind(self, cls: type) -> str:
        """Return the name of a class, with its module only if a package is installed.

        Other files may move.
        """
        if issubclass(cls, fx.GraphModule):
            return "torch.fx.GraphModule"
        return self._name(cls)

    def describe(self, value: Any, depth: int = 0) -> Any:
        """Return a JSON value that is equal for equal values."""
        if depth > MAX_DEPTH:
            return ["too deep", self.kind(type(value))]
        if value is None or isinstance(value, bool | int | float | complex | bytes):
            return f"{type(value).__name__} {value!r}"
        if isinstance(value, str | PurePath):
            return ["text", _without_folder(str(value))]
        if isinstance(value, Tensor):
            return ["tensor", tensor_sha256(value)]
        if isinstance(value, nn.Module):
            return ["module", self._nested(value)]
        inside = self._inside(value)
        if inside is not None:
            name, parts = inside
            return [name, [self.describe(part, depth + 1) for part in parts]]
        return self._opaque(value, depth)

    def _inside(self, value: Any) -> tuple[str, list[Any]] | None:
        """Return the items of a container, in the same order in every run."""
        if isinstance(value, list | tuple | deque):
            return "sequence", list(value)
        if isinstance(value, set | frozenset):
            return "set", sorted(value, key=repr)
        if isinstance(value, Mapping):
            return "mapping", sorted(value.items(), key=lambda item: repr(item[0]))
        if isinstance(value, SimpleNamespace):
            return "namespace", sorted(vars(value).items())
        if isinstance(value, slice | range):
            return type(value).__name__, [value.start, value.stop, value.step]
        if isinstance(value, functools.partial):
            return "partial", [value.func, value.args, value.keywords]
        if isinstance(value, PICKERS):
            return type(value).__name__, list(value.__reduce__()[1])
        if isinstance(value, MethodType):
            return "method", [value.__func__, value.__self__]
        return None

    def _opaque(self, value: Any, depth: int) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return ["array", _array_sha256(np.asarray(value))]
        if isinstance(value, enum.Enum):
            return ["enum", self.kind(type(value)), value.name]
        if isinstance(value, NAMELESS):
            return str(value) if not isinstance(value, torch.Generator) else "generator"
        if isinstance(value, type):
            return ["class", self.kind(value)]
        if isinstance(value, FunctionType):
            return self._function(value, depth)
        if isinstance(value, ModuleType):
            return ["package", value.__name__]
        if isinstance(value, BuiltinFunctionType | MethodWrapperType) or _is_operator(value):
            return self._built_in(value, depth)
        return self._object(value, depth)

    def _built_in(self, value: Any, depth: int) -> Any:
        """Describe a function written in C, and the object whose method it is."""
        name = f"{getattr(value, '__module__', '')}.{_called(value)}"
        bound = None if _is_operator(value) else getattr(value, "__self__", None)
        if bound is None or isinstance(bound, ModuleType):
            return ["function", name]
        return ["function", name, self.describe(bound, depth + 1)]

    def _object(self, value: Any, depth: int) -> Any:
        cls = type(value)
        name = self.kind(cls)
        if id(value) in self._open:
            return ["object", name, self._open[id(value)]]
        parts = _attributes(value)
        if code_of(cls) is None or parts is None:
            return ["object", name]
        self._open[id(value)] = len(self._open)
        try:
            inside = [[key, self.describe(part, depth + 1)] for key, part in sorted(parts.items())]
        finally:
            del self._open[id(value)]
        return ["object", name, inside]

    def _function(self, function: FunctionType, depth: int) -> Any:
        name = self._name(function)
        if code_of(function) is None:
            return ["function", name]
        cells = [_content(cell) for cell in function.__closure__ or ()]
        bound = [function.__defaults__, function.__kwdefaults__, cells]
        return ["function", name, [self.describe(part, depth + 1) for part in bound]]

    def _name(self, item: Any) -> str:
        code = code_of(item)
        if code is not None:
            self.code[code.sha256] = code
            return str(item.__qualname__)
        module = str(item.__module__)
        # Module names made from a path, or without a file, differ between machines.
        if module == "__main__" or module.partition(".")[0] not in sys.modules:
            return str(item.__qualname__)
        # Modules of undoor may move from version to version.
        return f"{'undoor' if module.startswith('undoor.') else module}.{item.__qualname__}"


def _is_operator(value: Any) -> bool:
    return isinstance(value, torch._ops.OperatorBase | torch._ops.OpOverloadPacket)


def _called(value: Any) -> str:
    return str(value) if _is_operator(value) else str(getattr(value, "__qualname__", value))


def _attributes(value: Any) -> dict[str, Any] | None:
    """Return the attributes in dictionary and slots; None for an object with neither."""
    slots = [
        item
        for cls in type(value).__mro__
        if "__slots__" in vars(cls)
        for item in vars(cls).values()
        if isinstance(item, MemberDescriptorType)
    ]
    if not slots and not hasattr(value, "__dict__"):
        return None
    # By class, too, since several classes may have the same private name.
    filled = {}
    for slot in slots:
        try:
            key = f"{slot.__objclass__.__qualname__}.{slot.__name__}"
            filled[key] = slot.__get__(value)
        except AttributeError:  # never set
            continue
    return {**filled, **getattr(value, "__dict__", {})}


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "empty"


def _without_folder(text: str) -> str:
    """Return a text, or the file name of an absolute path, which differs between machines."""
    path = PurePath(text)
    return path.name if path.is_absolute() else text


def _array_sha256(array: np.ndarray[Any, Any]) -> str:
    digest = hashlib.sha256(f"{array.shape}{array.dtype}".encode())
    if not array.dtype.hasobject:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
