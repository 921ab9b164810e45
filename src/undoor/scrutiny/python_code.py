"""Read the Python code of a network's own modules for conditions beside the input."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import nn

from undoor.scrutiny.doubt import GraphCode, GraphFinding

# Packages whose modules are ordinary layers, however they are written.
TRUSTED = frozenset({"torch", "torchvision", "timm", "transformers", "onnx2torch", "undoor"})
# Names that say what a pass hinges on.
NAMES: dict[str, GraphCode] = dict.fromkeys(
    "requires_grad requires_grad_ is_grad_enabled inference_mode is_inference_mode_enabled "
    "is_inference is_leaf grad_fn set_grad_enabled enable_grad retain_grad".split(),
    "gradient_mode",
)
NAMES |= dict.fromkeys(
    "is_autocast_enabled is_autocast_cpu_enabled is_contiguous data_ptr _version time time_ns "
    "perf_counter monotonic datetime environ getenv getpid urandom _getframe currentframe "
    "get_num_threads is_tracing is_scripting is_compiling is_exporting tolist numpy "
    "get_default_dtype stack_trace hostname gethostname argv modules".split(),
    "condition",
)
NAMES |= dict.fromkeys("register_hook register_full_backward_hook Function".split(), "own_gradient")
NAMES |= {"print": "print", "random": "random"}
_DEEPEST = 200


def read_code(network: nn.Module) -> Iterator[GraphFinding]:
    """What the code of modules that come from no well-known library names in a pass."""
    seen: set[CodeType] = set()
    for module in network.modules():
        kind = type(module)
        if not _is_foreign(kind):
            continue
        for function in _reached(kind, seen):
            yield from _of_function(function)


def _is_foreign(kind: type) -> bool:
    package = kind.__module__.partition(".")[0]
    known = package in TRUSTED or issubclass(kind, torch.jit.ScriptModule | torch.fx.GraphModule)
    return not known or kind.__module__.startswith("torch.fx.graph_module.impl")


def is_foreign(network: nn.Module) -> bool:
    """Whether any module of a network comes from no well-known library."""
    return any(_is_foreign(type(module)) for module in network.modules())


def _reached(kind: type, seen: set[CodeType]) -> Iterator[FunctionType]:
    """The functions that `forward` of a class may call, as far as names tell."""
    start = getattr(kind, "forward", None)
    todo: list[Any] = [start, getattr(kind, "__call__", None)]
    while todo and len(seen) < _DEEPEST:
        function = inspect.unwrap(f) if callable(f := todo.pop()) else None
        function = getattr(function, "__func__", function)
        if not isinstance(function, FunctionType) or function.__code__ in seen:
            continue
        package = (function.__module__ or "").partition(".")[0]
        if package in TRUSTED or package in sys.stdlib_module_names:
            continue
        seen.add(function.__code__)
        yield function
        for name in _names(function.__code__):
            todo += [getattr(kind, name, None), _global(function, name)]


def _global(function: FunctionType, name: str) -> Any:
    value = function.__globals__.get(name)
    return None if isinstance(value, ModuleType | type) else value


def _names(code: CodeType) -> set[str]:
    out = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            out |= _names(constant)
    return out


def _of_function(function: FunctionType) -> Iterator[GraphFinding]:
    code = function.__code__
    where = f"{code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno}"
    for name in sorted(_names(code) & NAMES.keys()):
        yield GraphFinding(NAMES[name], where, f"{name} in {function.__qualname__}")
    for line in _compared_sizes(function):
        yield GraphFinding("batch_size", f"{where.partition(':')[0]}:{line}", "a comparison")


def _compared_sizes(function: FunctionType) -> Iterator[int]:
    """Lines that compare the size of a batch, other than to raise."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return
    names = _batch_names(tree)
    checks = {id(n.test) for n in ast.walk(tree) if isinstance(n, ast.Assert)}
    checks |= {
        id(n.test)
        for n in ast.walk(tree)
        if isinstance(n, ast.If) and all(isinstance(inner, ast.Raise) for inner in n.body)
    }
    for node in ast.walk(tree):
        asked = node.test if isinstance(node, ast.If | ast.IfExp | ast.While) else node
        if not isinstance(asked, ast.Compare) or id(asked) in checks:
            continue
        if any(_is_batch(side, names) for side in (asked.left, *asked.comparators)):
            yield first + asked.lineno - 1


def _batch_names(tree: ast.AST) -> set[str]:
    """Variables that hold the size of a batch."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and _is_batch(node.value, names):
                names.add(target.id)
            whole = isinstance(node.value, ast.Attribute) and node.value.attr == "shape"
            whole |= _is_call(node.value, "size") and not node.value.args
            if isinstance(target, ast.Tuple) and whole and isinstance(target.elts[0], ast.Name):
                names.add(target.elts[0].id)
    return names


def _is_batch(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp):
        return _is_batch(node.left, names) or _is_batch(node.right, names)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in ("int", "float", "bool"):
            return any(_is_batch(argument, names) for argument in node.args)
        first = node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        plain = isinstance(node.func, ast.Name) and node.func.id == "len"
        return (_is_call(node, "size") and bool(first)) or plain
    if isinstance(node, ast.Subscript):
        shape = isinstance(node.value, ast.Attribute) and node.value.attr == "shape"
        shape |= _is_call(node.value, "size")
        return shape and isinstance(node.slice, ast.Constant) and node.slice.value == 0
    return False


def _is_call(node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
    )
