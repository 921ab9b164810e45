"""The structure of a network: its modules, their settings, and the graphs among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from undoor.identity.graphs import fx_lines, script_sha256
from undoor.identity.source import code_of
from undoor.identity.tensors import tensor_sha256
from undoor.identity.values import Values
from undoor.origin import CodeFile, Origin

INTERNAL = frozenset(vars(nn.Module())) | {"training"}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# Attributes in which libraries note where a network was found.
PROVENANCE = frozenset({"name_or_path", "pretrained_cfg", "default_cfg", "hf_hub_id", "meta"})
Fact = tuple[str, str]


@dataclass(frozen=True)
class Structure:
    """The modules of a network and their settings.

    Attributes
    ----------
    facts
        By module and attribute, each as JSON.
    code
        The code of the modules that no installed package contains.
    """

    facts: dict[Fact, str]
    code: tuple[CodeFile, ...]

    def sha256(self, *, without: frozenset[Fact] = frozenset()) -> str:
        """Return a SHA-256 over all facts but those in `without`."""
        rows = [[*key, text] for key, text in sorted(self.facts.items()) if key not in without]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def changed_facts(before: Mapping[Fact, str], after: Mapping[Fact, str]) -> frozenset[Fact]:
    """Return which facts differ, or are in one of the two only."""
    keys = before.keys() | after.keys()
    return frozenset(key for key in keys if before.get(key) != after.get(key))


def structure_of(
    root: nn.Module, hashed_tensors: frozenset[str], *, graph_known: bool
) -> Structure:
    """Return the structure of the modules below `root`.

    Parameters
    ----------
    root
        The module whose descendants are described, but not itself.
    hashed_tensors
        Names of tensors below `root` that are hashed elsewhere.
    graph_known
        Whether TorchScript is hashed elsewhere.
    """
    return _Reader(root, hashed_tensors, graph_known).read()


def with_call(origin: Origin, architecture: Any, arguments: Mapping[str, Any]) -> Origin:
    """Return an origin that includes the callable that built the network, and its arguments.

    The arguments of a callable need not show in the modules that it makes.

    Parameters
    ----------
    architecture
        "file.py:callable", "package.module:callable", a callable, or a finished network, which is
        not called.
    """
    if isinstance(architecture, nn.Module):
        return origin
    values = _Reader(nn.Module(), frozenset(), graph_known=False).values
    # Where a file lies differs from machine to machine; what it holds is hashed as code.
    named = isinstance(architecture, str)
    name = architecture.rpartition(":")[2] if named else values.describe(architecture)
    text = json.dumps([name, values.describe(dict(arguments))])
    return replace(
        origin,
        call_sha256=hashlib.sha256(text.encode()).hexdigest(),
        code=(*origin.code, *values.code.values()),
    )


class _Reader:
    def __init__(self, root: nn.Module, hashed_tensors: frozenset[str], graph_known: bool) -> None:
        self.root = root
        self.hashed_tensors = hashed_tensors
        self.graph_known = graph_known
        self.values = Values(self._nested)
        # By its id, the name of a module that may be an attribute of another one.
        self.names = {id(module): name for name, module in root.named_modules()}

    def read(self) -> Structure:
        facts: dict[Fact, str] = {}
        for name, module in _outermost(self.root):
            if module is not self.root:
                facts |= {
                    (name, key): json.dumps(value) for key, value in self._facts(name, module)
                }
        code = sorted(self.values.code.values(), key=lambda item: item.sha256)
        return Structure(facts, tuple(code))

    def _facts(self, name: str, module: nn.Module) -> Iterator[tuple[str, Any]]:
        if isinstance(module, torch.jit.ScriptModule):
            yield "", "torch.jit.ScriptModule"
            if not self.graph_known:
                yield "script", script_sha256(module)
            return
        yield "", self.values.kind(type(module))
        if isinstance(module, fx.GraphModule):
            yield "graph", fx_lines(module.graph, self.values)
        yield "children", list(module._modules)
        yield from self._tensors(name, module)
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            state = module.get_extra_state()
            if not isinstance(state, Tensor):  # which is hashed with the weights
                yield "extra state", self.values.describe(state)
        for hooks in HOOKS:
            if found := getattr(module, hooks, None):
                yield hooks, self.values.describe(list(found.values()))
        yield from self._attributes(module)

    def _tensors(self, name: str, module: nn.Module) -> Iterator[tuple[str, Any]]:
        """Yield the tensors that are not hashed elsewhere, and the names of missing ones."""
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is None:
                yield f"tensor {key}", None
            elif f"{name}.{key}" not in self.hashed_tensors:
                yield f"tensor {key}", _tensor(tensor)

    def _attributes(self, module: nn.Module) -> Iterator[tuple[str, Any]]:
        installed = code_of(type(module)) is None
        for key, value in vars(module).items():
            if key in INTERNAL or key in PROVENANCE:
                continue
            # Copies of a graph lose other attributes; its nodes may refer to tensors.
            if isinstance(module, fx.GraphModule) and not isinstance(value, Tensor):
                continue
            # Installed packages keep internal notes in private attributes.
            if installed and key.startswith("_"):
                continue
            yield f"attribute {key}", self.values.describe(value)

    def _nested(self, module: nn.Module) -> Any:
        """Describe a module within a list or an object, where torch does not see it."""
        if id(module) in self.names:
            return self.names[id(module)]
        start = f"nested {len(self.names)}"
        found = [(f"{start}.{name}".rstrip("."), part) for name, part in _outermost(module)]
        # Before any is described, since they may be attributes of one another.
        self.names |= {id(part): name for name, part in found}
        return [[name, *fact] for name, part in found for fact in self._facts(name, part)]


def _outermost(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield all modules but those inside TorchScript."""
    scripts: list[str] = []
    for name, module in root.named_modules():
        if any(name.startswith(f"{script}.") for script in scripts):
            continue
        if isinstance(module, torch.jit.ScriptModule):
            scripts.append(name)
        yield name, module


def _tensor(tensor: Tensor) -> str:
    if torch.nn.parameter.is_lazy(tensor):
        return "lazy"
    return tensor_sha256(tensor)
