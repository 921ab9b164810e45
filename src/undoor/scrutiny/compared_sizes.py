"""Lines of Python code that compare the number of inputs in a batch."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType


def compared_sizes(function: FunctionType) -> Iterator[int]:
    """Yield the lines of a function that compare the size of a batch, other than to raise.

    Nothing is yielded if there is no source.
    """
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return
    sizes = _Sizes(tree)
    checks = {id(n.test) for n in ast.walk(tree) if _is_check(n)}  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or id(node) in checks:
            continue
        if any(sizes.are(side) for side in (node.left, *node.comparators)):
            yield first + node.lineno - 1


def _is_check(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return all(isinstance(inner, ast.Raise) for inner in node.body) and not node.orelse
    return isinstance(node, ast.Assert)


class _Sizes:
    """The expressions in a function that are sizes of batches."""

    def __init__(self, tree: ast.AST) -> None:
        self.inputs: set[str] = set()
        self.names: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == "forward":
                self.inputs |= {argument.arg for argument in node.args.args[1:2]}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name) and self.are(value):
            self.names.add(target.id)
        if isinstance(target, ast.Tuple) and _is_shape(value):
            first = target.elts[0]
            if isinstance(first, ast.Name):
                self.names.add(first.id)

    def are(self, node: ast.expr) -> bool:
        """Return whether an expression is the size of a batch, or computed from one."""
        if isinstance(node, ast.Name):
            return node.id in self.names
        if isinstance(node, ast.BinOp):
            return self.are(node.left) or self.are(node.right)
        if isinstance(node, ast.Subscript):
            return _is_shape(node.value) and _is_first(node.slice)
        if not isinstance(node, ast.Call) or not node.args:
            return False
        argument = node.args[0]
        if isinstance(node.func, ast.Attribute):
            return node.func.attr == "size" and _is_first(argument)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "len":
            return isinstance(argument, ast.Name) and argument.id in self.inputs
        return name in ("int", "float", "bool") and self.are(argument)


def _is_shape(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "shape"
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return called and node.func.attr == "size" and not node.args  # type: ignore[attr-defined]


def _is_first(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0
