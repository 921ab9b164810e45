"""Distinct class names, so that a report never shows two classes under one name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from undoor.errors import UndoorError


def names_of_classes(given: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """Return the names of a model's classes, distinct; their numbers where none are given.

    Parameters
    ----------
    given
        One name per class, in order.
    classes
        How many classes the model has.

    Raises
    ------
    UndoorError
        There are more names than classes, or fewer; or `distinct_names` refuses them.
    """
    names = distinct_names(list(map(str, range(classes) if given is None else given)))
    if len(names) != classes:
        raise UndoorError(
            f"{len(names)} class names were given for a model with {classes} classes; give one "
            "name per class, in order"
        )
    return names


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, with the class number after each name that several classes share.

    Raises
    ------
    UndoorError
        A name with its number is the name of another class.

    Examples
    --------
    >>> distinct_names(["crane", "dog", "crane"])
    ('crane (0)', 'dog', 'crane (2)')
    """
    counts = Counter(names)
    found = tuple(f"{name} ({i})" if counts[name] > 1 else name for i, name in enumerate(names))
    if len(set(found)) < len(found):
        twice = next(name for name, count in Counter(found).items() if count > 1)
        raise UndoorError(
            f"expected a different name for each class, got {twice!r} twice; rename one of them"
        )
    return found
