"""Whether arguments are of the kind that a function takes."""

from __future__ import annotations

from typing import TypeVar

from undoor.errors import UndoorError

Kind = TypeVar("Kind")


def require_kind(value: object, kind: type[Kind], name: str, advice: str) -> Kind:
    """Return `value`, or refuse it in one line.

    Parameters
    ----------
    value
        What a caller gave.
    kind
        What it has to be.
    name
        Of the parameter.
    advice
        How to get one.

    Raises
    ------
    UndoorError
        It is of another kind.

    Examples
    --------
    >>> require_kind(3, str, "path", "give a path as text")
    Traceback (most recent call last):
    ...
    undoor.errors.UndoorError: path: expected a str, got int; give a path as text
    """
    if isinstance(value, kind):
        return value
    raise UndoorError(f"{name}: expected a {kind.__name__}, got {type(value).__name__}; {advice}")
