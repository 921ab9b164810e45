"""Read the Python code of a network's own modules for conditions beside the input."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import nn

from undoor.scrutiny.compared_sizes import compared_sizes
from undoor.scrutiny.doubt import GraphCode, GraphFinding
from undoor.scrutiny.operators import words

# Packages whose modules are ordinary layers, however they are written.
TRUSTED = frozenset({"torch", "torchvision", "timm", "transformers", "onnx2torch", "undoor"})
# Names that say what a pass hinges on.
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


def _reached(kind: type, seen: set[CodeType]) -> Iterator[FunctionType]:
    """The functions that `forward` of a class may call, as far as names tell."""
    start = getattr(kind, "forward", None)
    todo: list[Any] = [start, kind.__dict__.get("__call__")]
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
    for line in compared_sizes(function):
        yield GraphFinding("batch_size", f"{where.partition(':')[0]}:{line}", "a comparison")
