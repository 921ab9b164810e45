"""Whether arguments are of the kinds that a function's annotations name."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache, wraps
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from undoor.errors import UndoorError

Given = ParamSpec("Given")
Result = TypeVar("Result")

# What messages call a kind, and an example of it.
PLAIN: dict[object, tuple[str, str]] = {
    int: ("a whole number", "0"),
    float: ("a number", "0.5"),
    bool: ("True or False", "True"),
    str: ("text", '"text"'),
    Path: ("a path", '"folder"'),
    type(None): ("None", "None"),
}
# By the name of a class: where to get one.
HOW_TO_GET = {
    "Module": "give the network itself, a torch.nn.Module; of an ExportedProgram what its "
    "module() returns",
    "Classifier": "wrap the network: undoor.Classifier(module, "
    "input_shape=(channels, height, width))",
    "CleanSet": "give undoor.CleanSet.from_arrays(images, labels), or the pair (images, labels)",
    "ScanReport": "give what undoor.scan returns, or ScanReport.load(folder, shape=..., "
    "bounds=...) of a model's inputs",
    "Repair": "give what undoor.repair or Repair.load returns",
    "Guarded": "give what undoor.guard returns",
    "Budget": "give undoor.Budget(passes=..., seconds=...)",
    "Thresholds": "give undoor.Thresholds(alpha=...)",
    "Calibration": "give what undoor.calibrate or Calibration.load returns",
    "Journal": "give undoor.Journal(folder)",
    "Resizing": "give undoor.Resizing(size=(height, width))",
    "Tensor": "give a torch.Tensor",
}
# Of a value that is no such thing, as many characters are shown.
MAX_SHOWN = 60


def checked(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Have a function refuse arguments of other kinds than its annotations name.

    Annotations that say more than can be seen of a value are passed over: `Any`, and unions with
    them.

    Parameters
    ----------
    function
        Its annotations can be evaluated where it is called first.

    Returns
    -------
    callable
        The same function. It raises an UndoorError, in one line, for an argument of another kind.

    Examples
    --------
    >>> @checked
    ... def draw(seed: int = 0, shape: Sequence[int] | None = None) -> None:
    ...     pass
    >>> draw(seed="a")
    Traceback (most recent call last):
    ...
    undoor.errors.UndoorError: seed: expected a whole number, got 'a'; give it as in seed=0
    """
    signature = inspect.signature(function)

    @wraps(function)
    def checking(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        hints = _hints_of(function)
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError:
            # Too many arguments, or too few, are Python's to refuse.
            return function(*args, **kwargs)
        for name, value in given.arguments.items():
            if signature.parameters[name].kind is not inspect.Parameter.VAR_KEYWORD:
                require_hint(value, hints.get(name, Any), name)
                given.arguments[name] = _plain(value)
        return function(*given.args, **given.kwargs)

    return checking


def require_fields(instance: object) -> None:
    """Refuse a dataclass with a field of another kind than its annotation names.

    Raises
    ------
    UndoorError
        As of `require_hint`.
    """
    kind: Any = type(instance)
    hints = _hints_of(kind)
    for field in fields(instance):  # type: ignore[arg-type]
        require_hint(getattr(instance, field.name), hints[field.name], field.name)


def require_hint(value: object, hint: object, name: str) -> None:
    """Refuse a value of another kind than an annotation names.

    Parameters
    ----------
    value
        What a caller gave.
    hint
        The annotation.
    name
        Of the parameter.

    Raises
    ------
    UndoorError
        What was expected, what was given, and how to give it.
    """
    if _is_of(value, hint):
        return
    found = f"expected {_named(hint)}, got {_shown(value)}"
    raise UndoorError(f"{name}: {found}; {_advice(hint, name)}")


@cache
def _hints_of(annotated: Any) -> dict[str, Any]:
    return get_type_hints(annotated)


def _plain(value: object) -> object:
    """Return a number of NumPy as one of Python, which alone is taken everywhere."""
    if isinstance(value, np.integer | np.floating):
        return value.item()
    return value


def _is_of(value: object, hint: Any) -> bool:
    """Return whether a value is of the kind that an annotation names, as far as can be seen."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_is_of(value, choice) for choice in inner)
    if origin is Literal or hint is str:
        return isinstance(value, str)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if hint is Path:
        return isinstance(value, PathLike)
    if origin is Sequence or origin is tuple:
        return isinstance(value, Iterable) and _is_row(value) and _are_of(list(value), inner)
    if origin is Mapping:
        return isinstance(value, Mapping)
    if origin is Callable or getattr(hint, "_is_protocol", False):
        return callable(value)
    return isinstance(value, hint) if hint is not Any and isinstance(hint, type) else True


def _is_row(value: Iterable[object]) -> bool:
    """Return whether a value is a row of items, be it a list or an array; a text is none."""
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        return False
    return getattr(value, "ndim", 1) == 1


def _are_of(items: list[object], kinds: tuple[Any, ...]) -> bool:
    """Return whether items are of one kind each, or all of the first where more may follow."""
    if len(kinds) == 1 or kinds[1] is ...:
        return all(_is_of(item, kinds[0]) for item in items)
    return len(items) == len(kinds) and all(map(_is_of, items, kinds))


def _named(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        *others, last = dict.fromkeys(_named(choice) for choice in inner)
        return f"{', '.join(others)} or {last}" if others else last
    if origin is Literal:
        return PLAIN[str][0]
    if origin is tuple and ... not in inner:
        return f"{len(inner)} numbers" if set(inner) <= {int, float} else f"a tuple of {len(inner)}"
    if origin is Sequence or origin is tuple:
        return "several numbers" if inner[0] in (int, float) else "several texts"
    if origin is Mapping:
        return "a mapping"
    if origin is Callable or getattr(hint, "_is_protocol", False):
        return "a function"
    name = getattr(hint, "__name__", str(hint))
    return PLAIN[hint][0] if hint in PLAIN else f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _shown(value: object) -> str:
    """Return what was given: plain values themselves, of others the type."""
    plain = value is None or isinstance(value, str | int | float)
    short = repr(value) if plain or isinstance(value, list | tuple) else ""
    return short if 0 < len(short) <= MAX_SHOWN else type(value).__name__


def _advice(hint: Any, name: str) -> str:
    """Return how to give a value of the first kind that an annotation names."""
    first = get_args(hint)[0] if get_origin(hint) in (Union, types.UnionType) else hint
    origin = get_origin(first)
    if origin is Sequence or origin is tuple:
        return "give a tuple or a list"
    if origin is Literal:
        return f"give one of {', '.join(map(repr, get_args(first)))}"
    if first in PLAIN:
        return f"give it as in {name}={PLAIN[first][1]}"
    return HOW_TO_GET.get(getattr(first, "__name__", ""), "see its documentation with help()")
