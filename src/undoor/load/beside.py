"""Values that training scripts save beside the weights: settings, paths, NumPy arrays and numbers.

They run nothing when a pickle that holds them is opened, and no state dict needs them. They are
opened as stand-ins: no class or function that they name is imported or called.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from undoor.load.opcodes import Value

# Config objects of the libraries that training scripts use are dictionaries, or hold one.
_CONFIGS = (
    r"omegaconf\.dictconfig\.DictConfig|omegaconf\.listconfig\.ListConfig"
    r"|omegaconf\.base\.(Container)?Metadata|omegaconf\.nodes\.[A-Z]\w*Node"
    r"|yacs\.config\.CfgNode|fvcore\.common\.config\.CfgNode|detectron2\.config\.config\.CfgNode"
    r"|easydict\.EasyDict|addict\.addict\.Dict|mm(cv\.utils|engine\.config)\.config\.ConfigDict"
    r"|ml_collections\.config_dict\.config_dict\.(ConfigDict|FieldReference)"
    r"|(pytorch_)?lightning\.(pytorch\.)?utilities\.parsing\.AttributeDict"
    r"|lightning(_fabric|\.fabric)\.utilities\.data\.AttributeDict"
)
_RECONSTRUCT = re.compile(r"numpy\.(_core|core)\.multiarray\._reconstruct")
_SCALAR = re.compile(r"numpy\.(_core|core)\.multiarray\.scalar")
_DICTIONARIES = (
    r"collections\.defaultdict|yacs\.config\.CfgNode|fvcore\.common\.config\.CfgNode"
    r"|detectron2\.config\.config\.CfgNode|easydict\.EasyDict|addict\.addict\.Dict|.*ConfigDict"
    r"|.*AttributeDict"
)
DICTIONARY = re.compile(_DICTIONARIES)
# What may be called, or made and given a state.
MADE = re.compile(
    rf"{_RECONSTRUCT.pattern}|{_SCALAR.pattern}|numpy\.dtype"
    r"|argparse\.Namespace|types\.SimpleNamespace"
    r"|pathlib\.(_local\.)?(Pure)?(Posix|Windows)?Path"
    r"|decimal\.Decimal|fractions\.Fraction"
    r"|datetime\.(datetime|date|time|timedelta|timezone)|uuid\.UUID"
    r"|collections\.(defaultdict|deque)"
    r"|_?_?(builtins?)(__)?\.(bytes|bytearray|complex|frozenset|slice|range)"
    # Optimizers and schedules saved whole; not swa_utils, which has modules.
    r"|torch\.optim\.(?!swa_utils)[a-z_]+\.[A-Z]\w*"
    rf"|{_CONFIGS}"
)
# What may stand there as a value.
NAMED = re.compile(
    rf"{MADE.pattern}|numpy\.ndarray"
    r"|numpy\.(bool_?|(u?int|float|complex)\d+|str_|bytes_|datetime64|timedelta64)"
    r"|_?_?(builtins?)(__)?\.(int|float|bool|str|list|tuple|dict|set|object)"
    r"|typing\.(Any|Dict|List|Tuple|Union|Optional)"
    r"|(pytorch_lightning|lightning\.pytorch)\.callbacks\.[a-z_]+\.[A-Z]\w*"
)
# Types of NumPy: numbers, texts and times of a stated size. Objects are pickles inside a pickle.
_DTYPE = re.compile(r"[<>=|]?([biufcSUmM])(\d{1,4})")
_ARRAY_STATE, _DTYPE_STATE = 5, 8


class Ignored:
    """Stands for a value beside the weights; its arguments and its state are dropped."""

    def __init__(self, *given: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        """Drop the state."""


class IgnoredDictionary:
    """Stands for kinds of dictionaries: gives a plain one, which may hold the weights."""

    def __new__(cls, *given: object) -> Any:
        """Return an empty dictionary."""
        return OrderedDict()


class IgnoredQueue:
    """Stands for kinds of lists."""

    def __new__(cls, *given: object) -> Any:
        """Return an empty list."""
        return []


def is_beside(name: str) -> bool:
    """Return whether a global is one of those values, or makes one.

    Examples
    --------
    >>> is_beside("argparse.Namespace"), is_beside("argparse.ArgumentParser")
    (True, False)
    """
    return NAMED.fullmatch(name) is not None


def is_made(name: str) -> bool:
    """Return whether a global may also be called, and its result be given a state."""
    return MADE.fullmatch(name) is not None


def stand_in(name: str) -> type:
    """Return the class that a reader uses instead of such a global."""
    if DICTIONARY.fullmatch(name):
        return IgnoredDictionary
    return IgnoredQueue if name == "collections.deque" else Ignored


def call_problem(name: str, given: tuple[Value, ...]) -> str:
    """Return why such a global must not be called with these values; "" where it may be."""
    if name == "numpy.dtype":
        kind = given[0].plain if given else None
        if not isinstance(kind, str) or not _DTYPE.fullmatch(kind):
            return f"it makes a NumPy type of {str(kind)[:20]!r}, expected plain numbers"
    elif _SCALAR.fullmatch(name):
        if not given or _item_size(given[0]) is None:
            return "it makes a NumPy number of a type that holds objects or is computed"
    elif _RECONSTRUCT.fullmatch(name):
        sizes = [n.plain for n in given[1].items or ()] if len(given) > 1 else []
        if given[0].name != "numpy.ndarray" or 0 not in sizes:
            return "it makes a NumPy array that is not empty before it is filled"
    elif name.endswith((".bytearray", ".range", ".bytes")) and any(
        isinstance(value.plain, int) and value.plain > 2**20 for value in given
    ):
        return f"it makes {name} of more than {2**20:,} values, which the file does not hold"
    return ""


def state_problem(target: Value, state: Value) -> str:
    """Return why such a value must not be given this state; "" where it may be."""
    items = state.items or ()
    if target.made_by == "numpy.dtype":
        return _dtype_problem(target, items)
    if target.made_by is not None and _RECONSTRUCT.fullmatch(target.made_by):
        return _array_problem(items)
    return ""


def _dtype_problem(target: Value, items: tuple[Value, ...]) -> str:
    # Version, byte order, its parts (three), size, alignment, flags; of times, more.
    if len(items) < _DTYPE_STATE or any(item != Value() for item in items[2:5]):
        return "it makes a NumPy type of several parts"
    size = items[5].plain
    return "" if size in (-1, _item_size(target)) else "it makes a NumPy type of another size"


def _array_problem(items: tuple[Value, ...]) -> str:
    sizes = [n.plain for n in items[1].items or ()] if len(items) == _ARRAY_STATE else [None]
    width = _item_size(items[2]) if len(items) == _ARRAY_STATE else None
    if width is None or not all(isinstance(n, int) and n >= 0 for n in sizes):
        return "it makes a NumPy array of objects, or of a size or type that is computed"
    stored = _stored(items[4])
    if math.prod(n for n in sizes if isinstance(n, int)) * width != stored:
        shape = "x".join(map(str, sizes))
        return f"it makes a NumPy array of {shape} numbers from {stored} stored bytes"
    return ""


def _item_size(dtype: Value) -> int | None:
    """Return the bytes of one value; None where the type is not a plain one."""
    kind = dtype.given[0].plain if dtype.made_by == "numpy.dtype" and dtype.given else None
    found = _DTYPE.fullmatch(kind) if isinstance(kind, str) else None
    if found is None:
        return None
    return int(found[2]) * (4 if found[1] == "U" else 1)


def _stored(data: Value) -> int:
    """Return the length of bytes, which old protocols write as text."""
    if isinstance(data.plain, bytes):
        return len(data.plain)
    text = data.given[0].plain if data.made_by == "_codecs.encode" and data.given else ""
    return len(text) if isinstance(text, str) else 0


def stand_ins(names: Sequence[str]) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return stand-ins for the names that are such values.

    `torch.serialization.safe_globals` takes them in this form.
    """
    # Readers translate the names of Python 2 before they look for them.
    both = {*names, *(name.replace("__builtin__.", "builtins.", 1) for name in names)}
    return [(stand_in(name), name) for name in sorted(both) if is_beside(name)]
