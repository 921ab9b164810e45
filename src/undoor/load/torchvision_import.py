"""Import libraries that use torchvision where torchvision itself does not import.

Each of its wheels is built for one torch. With another, as PyPI's with a torch for CPUs alone, its
native operators are missing and its import fails with an error that its users do not expect, though
none of them needs those operators here.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

import torch

NAME = "torchvision"
# The operators for which its Python code registers a second form when it is imported.
DECLARED = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
MISSING = re.compile(r"operator torchvision::\w+ does not exist")
# What onnx2torch imports for operators of object detectors.
DETECTORS = ("box_convert", "nms", "roi_align")


@contextmanager
def torchvision_importable(*, stand_in: bool = False) -> Iterator[None]:
    """Make importing torchvision work, or fail as if it were not installed.

    If it imports, it is left alone. If it lacks only its native operators, it is imported with
    their declarations, and stays imported; otherwise it is hidden.

    Parameters
    ----------
    stand_in
        Replace it by a module that does nothing, if it was not imported before.
    """
    if NAME in sys.modules or (not stand_in and _imports()):
        yield
        return
    made: dict[str, ModuleType | None] = {**_stand_ins()} if stand_in else {NAME: None}
    sys.modules.update(made)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in made:
            sys.modules.pop(name, None)


@cache
def _imports() -> bool:
    """Return whether torchvision imports or is not installed."""
    if importlib.util.find_spec(NAME) is None:
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = _import_problem()
        if MISSING.search(problem):
            _declare()
            problem = _import_problem()
    return not problem


def _import_problem() -> str:
    try:
        importlib.import_module(NAME)
    # A library that does not import may raise anything.
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


# A declaration lasts as long as its library.
_LIBRARIES: list[torch.library.Library] = []


def _declare() -> None:
    """Declare torchvision's operators, without implementing them."""
    library = torch.library.Library(NAME, "FRAGMENT")
    for name in DECLARED:
        if not hasattr(getattr(torch.ops, NAME), name):
            library.define(f"{name}{SCHEMA}")
    _LIBRARIES.append(library)


def _stand_ins() -> dict[str, ModuleType]:
    whole, operators = ModuleType(NAME), ModuleType(f"{NAME}.ops")
    for name in DETECTORS:
        setattr(operators, name, None)
    whole.ops = operators  # type: ignore[attr-defined]
    return {NAME: whole, f"{NAME}.ops": operators}
