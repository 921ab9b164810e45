"""Data sets that are made of others, by name: ``cifar10_classes_0_3_5`` is made of ``cifar10``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undoor.errors import UndoorError
from undoor_bench.zoo.class_choice import with_background, with_classes
from undoor_bench.zoo.pairs import paired
from undoor_bench.zoo.shortcuts import with_cast, with_mark
from undoor_bench.zoo.turned import turned

Arrays = tuple[NDArray[Any], NDArray[np.int64]]
# From the images and labels of a split to those of the same split of the derived data set.
Derive = Callable[[NDArray[Any], NDArray[np.int64]], Arrays]

PLAIN: dict[str, Derive] = {"turned": turned, "pairs": paired}
# Those whose name goes on with classes, such as _3 or _0_2_5-9.
WITH_CLASSES: dict[str, Callable[[NDArray[Any], NDArray[np.int64], Sequence[int]], Arrays]] = {
    "classes": with_classes,
    "background": with_background,
    "cast": with_cast,
    "mark": with_mark,
}
_CLASS = r"_\d+(?:-\d+)?"
_NAME = re.compile(
    rf"(?P<base>.+)_(?:(?P<plain>{'|'.join(PLAIN)})"
    rf"|(?P<kind>{'|'.join(WITH_CLASSES)})(?P<classes>(?:{_CLASS})+))"
)
FORMS = (*(f"NAME_{kind}" for kind in PLAIN), *(f"NAME_{kind}_0_2-4" for kind in WITH_CLASSES))


def derivation(name: str) -> tuple[str, Derive] | None:
    """Return what a data set is made of, and how a split of it is made; None if it is a file.

    Names can be nested.

    Raises
    ------
    UndoorError
        The name lists a class twice.

    Examples
    --------
    >>> derivation("mnist_pairs_classes_0-19")[0], derivation("mnist_pairs")[0]
    ('mnist_pairs', 'mnist')
    >>> derivation("mnist") is None
    True
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    if found["plain"]:
        return found["base"], PLAIN[found["plain"]]
    derive, classes = WITH_CLASSES[found["kind"]], _classes(name, found["classes"])
    return found["base"], lambda x, y: derive(x, y, classes)


def root(name: str) -> str:
    """Return the name of the file that a data set is made of in the end; its own if it is a file.

    >>> root("mnist_pairs_classes_0-19"), root("mnist")
    ('mnist', 'mnist')
    """
    found = derivation(name)
    return name if found is None else root(found[0])


def _classes(name: str, text: str) -> tuple[int, ...]:
    """Return the classes in a text such as "_0_2-4"."""
    out: list[int] = []
    for part in text[1:].split("_"):
        first, _, last = part.partition("-")
        out += range(int(first), int(last or first) + 1)
    if not out or len(set(out)) < len(out):
        raise UndoorError(f"{name}: expected different classes, such as _0_2-4, got {text}")
    return tuple(out)
