"""Read the Python code of a network for conditions on anything but its input."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from undoor.scrutiny.compared_sizes import compared_sizes
from undoor.scrutiny.doubt import GraphCode, GraphFinding
from undoor.scrutiny.operators import words

# Packages whose modules are ordinary layers, however they are written.
TRUSTED = frozenset({"torch", "torchvision", "timm", "transformers", "onnx2torch", "undoor"})
# Names of what a pass may depend on besides its input.
_GRADIENTS = words(
    "requires_grad requires_grad_ is_grad_enabled inference_mode is_inference_mode_enabled "
    "is_inference is_leaf grad_fn set_grad_enabled enable_grad retain_grad"
)
_CONDITIONS = words(
    "is_autocast_enabled is_autocast_cpu_enabled is_contiguous data_ptr _version time time_ns "
    "perf_counter monotonic datetime environ getenv getpid urandom _getframe currentframe "
    "get_num_threads is_tracing is_compiling is_exporting tolist numpy "
    "get_default_dtype gethostname argv"
)
NAMES: dict[str, GraphCode] = {
    **dict.fromkeys(_GRADIENTS, "gradient_mode"),
    **dict.fromkeys(_CONDITIONS, "condition"),
    **dict.fromkeys(words("register_hook register_full_backward_hook"), "own_gradient"),
    "print": "print",
    "random": "random",
}
# Modules of the standard library that depend only on their arguments.
HARMLESS = words(
    "abc collections contextlib copy dataclasses enum functools itertools logging math numbers "
    "operator types typing warnings"
)
_HIDING = words("eval exec compile __import__ open globals vars")
_MADE = ("__init__", "__new__", "__call__", "forward")
_MAX_FUNCTIONS = 200


def read_code(network: nn.Module) -> Iterator[GraphFinding]:
    """Yield suspicious names in the code of modules that no well-known library defines."""
    seen: set[CodeType] = set()
    for module in network.modules():
        if _is_foreign(type(module)):
            for function in _reached(module, seen):
                yield from _of_function(function)


def _is_foreign(kind: type) -> bool:
    package = kind.__module__.partition(".")[0]
    known = package in TRUSTED or issubclass(kind, torch.jit.ScriptModule | torch.fx.GraphModule)
    return not known or kind.__module__.startswith("torch.fx.graph_module.impl")


def _reached(module: nn.Module, seen: set[CodeType]) -> Iterator[FunctionType]:
    """Yield the functions that a pass of a module may call, judged by names.

    They are those of its class, attributes and hooks, and of the modules, classes and objects that
    these refer to.
    """
    kind = type(module)
    held = [value for name, value in vars(module).items() if not name.startswith("_")]
    for hooks in ("_forward_hooks", "_forward_pre_hooks"):
        held += getattr(module, hooks, {}).values()
    todo: list[Any] = [getattr(kind, "forward", None), kind.__dict__.get("__call__")]
    todo += [value for value in held if isinstance(value, FunctionType | MethodType)]
    while todo and len(seen) < _MAX_FUNCTIONS:
        function = _function(todo.pop())
        if (
            function is None
            or function.__code__ in seen
            or not _is_of_supplier(function.__module__)
        ):
            continue
        seen.add(function.__code__)
        yield function
        names = _names(function.__code__)
        todo += [getattr(kind, name, None) for name in names]
        for value in (*_values(function), *held):
            todo += _inside(value, names)


def _function(value: Any) -> FunctionType | None:
    value = inspect.unwrap(value) if callable(value) else None
    value = getattr(value, "__func__", value)
    return value if isinstance(value, FunctionType) else None


def _is_of_supplier(module: str | None) -> bool:
    """Return whether a module is code of the supplier, not of a library."""
    package = (module or "").partition(".")[0]
    known = package in TRUSTED | {"numpy"} or package in sys.stdlib_module_names
    return not known or package == "__main__"


def _values(function: FunctionType) -> Iterator[Any]:
    """Yield the global and enclosed values to which a function refers."""
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield function.__globals__[name]
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # An empty one.
            yield cell.cell_contents


def _inside(value: Any, names: set[str]) -> Iterator[Any]:
    """Yield the members of a value that code with these names may call."""
    if isinstance(value, FunctionType | MethodType):
        yield value
    elif isinstance(value, ModuleType):
        if _is_of_supplier(value.__name__):
            yield from (vars(value).get(name) for name in names)
    elif isinstance(value, type):
        if _is_of_supplier(value.__module__):
            yield from (value.__dict__.get(name) for name in (*_MADE, *names))
    elif _is_of_supplier(type(value).__module__):
        yield from (getattr(type(value), name, None) for name in ("__call__", *names))


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
    for value in _values(function):
        if isinstance(value, ModuleType) and _reads_surroundings(value.__name__):
            yield GraphFinding("condition", where, f"{value.__name__} in {function.__qualname__}")
    yield from _hidden(function, where)
    for line in compared_sizes(function):
        yield GraphFinding("batch_size", f"{where.partition(':')[0]}:{line}", "a comparison")


def _reads_surroundings(module: str) -> bool:
    """Return whether a module of the standard library depends on more than its arguments."""
    package = module.partition(".")[0]
    return package in sys.stdlib_module_names - HARMLESS and package != "__main__"


def _hidden(function: FunctionType, where: str) -> Iterator[GraphFinding]:
    """Yield calls by which code can use names that it does not contain."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        # Without a source, or with only a part of an expression, names are all there is to judge.
        for name in sorted(_names(function.__code__) & (_HIDING | {"getattr"})):
            yield GraphFinding("condition", where, f"{name} in {function.__qualname__}")
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        name = node.func.id
        if name in _HIDING or (name == "getattr" and _is_put_together(node)):
            yield GraphFinding("condition", where, f"{name} in {function.__qualname__}")


def _is_put_together(call: ast.Call) -> bool:
    """Return whether a call of `getattr` hides the name that it looks up.

    So it is with a computed name of anything but `self`, and with any of `NAMES`.
    """
    if len(call.args) < 2:
        return True
    asked, name = call.args[:2]
    if isinstance(name, ast.Constant):
        return name.value in NAMES
    return not (isinstance(asked, ast.Name) and asked.id == "self")
