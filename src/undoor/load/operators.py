"""Operators of torch by name, and which of them only compute."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

# Arguments, texts, by which an operator reaches a file.
FILES = frozenset({"filename", "file", "path"})


@cache
def computes(name: str) -> bool:
    """Return whether `aten::name` is an operator, and none of its forms reaches a file.

    Examples
    --------
    >>> computes("relu"), computes("save"), computes("no_such_operator")
    (True, False, False)
    """
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    return bool(schemas) and not any(map(_reaches_files, schemas))


@cache
def overloads(name: str) -> frozenset[str]:
    """Return the forms of `aten::name` as torch.ops calls them.

    Examples
    --------
    >>> sorted(overloads("relu"))
    ['default', 'out']
    """
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    return frozenset(schema.overload_name or "default" for schema in schemas)


def reaching_files() -> frozenset[str]:
    """Return the names, without namespace, of all known operators that reach files.

    Libraries that are imported later may add more, so that this is called anew for each archive.

    Examples
    --------
    >>> reaching_files() >= {"from_file", "save"}
    True
    """
    names = [s.name for s in torch._C._jit_get_all_schemas() if _reaches_files(s)]
    return frozenset(name.rpartition("::")[2] for name in names)


def _reaches_files(schema: Any) -> bool:
    return any(a.name in FILES and str(a.type) == "str" for a in schema.arguments)
