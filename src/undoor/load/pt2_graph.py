"""Screening of the description in an archive of torch.export, by an allow-list of its strings.

PyTorch turns it into Python. Expressions over sizes are evaluated (by `sympy.sympify`), names of
inputs and weights become source code of the graph, and a node may call whatever can be reached from
`torch`, `os.system` with it. So strings are plain names, expressions are of sizes alone, and nodes
call operators that compute.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from undoor.load.operators import computes, overloads

# Enough for any shape; longer ones, and larger numbers, are there to keep a computer busy.
LONGEST_EXPRESSION = 2000
TOKEN = re.compile(
    r"\s+|(?P<name>[A-Za-z]\w*)|'[A-Za-z]\w{0,40}'|\d{1,18}(?![\w.])|//|==|!=|[<>]=?|\*(?!\*)|[()+\-/,=]",
    re.ASCII,
)
# What torch writes in sizes: functions and kinds of symbols of sympy, and symbols.
FUNCTION = re.compile(
    r"Symbol|Integer|Add|Mul|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|IntTrueDiv|ModularIndexing|Max"
    r"|Min|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|StrictLessThan|LessThan|StrictGreaterThan"
    r"|GreaterThan|And|Or|Not|True|False|positive|nonnegative|integer"
)
SYMBOL = re.compile(r"(s|u|z|zf|zuf)\d{1,6}", re.ASCII)
# Names of nodes, weights, versions and devices. None of these characters ends a string of Python,
# calls anything or begins a line.
PLAIN = re.compile(r"[\w.+:/ -]*", re.ASCII)
NAME = re.compile(r"[A-Za-z_]\w*|", re.ASCII)
AS_CODE = frozenset({"name", "as_name", "forward_arg_names"})
TARGET = re.compile(r"torch\.ops\.aten\.(\w+)\.([A-Za-z]\w*)", re.ASCII)
CALLED = frozenset(
    {f"_operator.{name}" for name in ("add", "sub", "mul", "floordiv", "mod", "neg")}
    | {f"_operator.{name}" for name in ("ge", "gt", "le", "lt", "eq", "ne")}
    | {f"torch.sym_{name}" for name in ("max", "min", "not", "int", "float")}
    # A part of the program, run with or without gradients or in other precision.
    | {f"torch.ops.higher_order.wrap_with_{name}" for name in ("set_grad_enabled", "autocast")}
)
# JSON in JSON: how arguments nest.
NESTED = frozenset({"in_spec", "out_spec", "context"})
# Texts that are never read as code: where a node came from, and arguments that are words.
# Guards are code, and are neither built nor run by the loader.
TEXTS = frozenset({"metadata", "as_string", "as_strings", "guards_code"})
FOREIGN = frozenset({"as_custom_obj", "custom_obj", "as_operator", "__enum__"})


def graph_breaches(document: Any) -> Iterator[str]:
    """Yield what a graph of tensors does not need in a description from JSON, in words."""
    todo: list[tuple[str, Any]] = [("", document)]
    while todo:
        key, value = todo.pop()
        if isinstance(value, dict):
            for inner, item in value.items():
                if inner in FOREIGN:
                    yield f"its description holds objects of other classes ({inner})"
                elif not PLAIN.fullmatch(inner):
                    yield f"its description has the name {inner[:80]!r}, which is none of a weight"
                elif inner not in TEXTS:
                    todo.append((inner, item))
        elif isinstance(value, list):
            todo.extend((key, item) for item in value)
        elif isinstance(value, str):
            if key in NESTED:
                try:
                    # Strings in it are names of arguments.
                    todo.append(("name", json.loads(value) if value else None))
                except (ValueError, RecursionError):
                    yield f"its description has {value[:80]!r} as {key}, which is no JSON"
            elif why := RULES.get(key, _plain)(value):
                yield why


def _plain(text: str) -> str | None:
    if PLAIN.fullmatch(text):
        return None
    return f"its description has the text {text[:80]!r}, which is no plain name"


def _name(text: str) -> str | None:
    if NAME.fullmatch(text):
        return None
    return f"its description has the name {text[:80]!r}, which would become code"


def _expression(text: str) -> str | None:
    position, known = 0, len(text) <= LONGEST_EXPRESSION
    while known and position < len(text):
        token = TOKEN.match(text, position)
        known = token is not None and _is_size(token["name"])
        position = token.end() if token else position
    return (
        None if known else f"its description has the expression {text[:80]!r}, no size of tensors"
    )


def _is_size(name: str | None) -> bool:
    return name is None or bool(FUNCTION.fullmatch(name) or SYMBOL.fullmatch(name))


def _target(text: str) -> str | None:
    found = TARGET.fullmatch(text)
    if text in CALLED or (found and computes(found[1]) and found[2] in overloads(found[1])):
        return None
    return f"its graph calls {text[:80]!r}, which no classifier needs"


RULES: dict[str, Callable[[str], str | None]] = {
    "expr_str": _expression,
    "target": _target,
    **dict.fromkeys(AS_CODE, _name),
}
