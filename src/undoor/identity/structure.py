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
# Where libraries say where a network was found.
PROVENANCE = frozenset({"name_or_path", "pretrained_cfg", "default_cfg", "hf_hub_id", "meta"})
Fact = tuple[str, str]


@dataclass(frozen=True)
class Structure:
    """facts : by module and attribute, as JSON. code : of what no installed package brings."""

    facts: dict[Fact, str]
    code: tuple[CodeFile, ...]

    def sha256(self, *, without: frozenset[Fact] = frozenset()) -> str:
        """Over all facts but those that running the network changes."""
        rows = [[*key, text] for key, text in sorted(self.facts.items()) if key not in without]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def changed_facts(before: Mapping[Fact, str], after: Mapping[Fact, str]) -> frozenset[Fact]:
    """Return which facts differ, or are in one of the two only."""
    keys = before.keys() | after.keys()
    return frozenset(key for key in keys if before.get(key) != after.get(key))


def structure_of(root: nn.Module, stored: frozenset[str], *, graph_known: bool) -> Structure:
    """Return what the modules below `root` are.

    Parameters
    ----------
    root
        The module whose descendants are described; not itself.
    stored
        Names of tensors below `root` that are hashed elsewhere.
    graph_known
        Whether the bytes of TorchScript are hashed elsewhere.
    """
    return _Reader(root, stored, graph_known).read()


def with_call(origin: Origin, architecture: Any, arguments: Mapping[str, Any]) -> Origin:
    """Return the same origin, with what was called to build the network.

    What a callable is told need not show in the modules that it makes.

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
    def __init__(self, root: nn.Module, stored: frozenset[str], graph_known: bool) -> None:
        self.root = root
        self.stored = stored
        self.graph_known = graph_known
        self.values = Values(self._nested)
        # By its id: how a module is called that stands somewhere in another one's attributes.
        self.names = {id(module): name for name, module in root.named_modules()}

    def read(self) -> Structure:
        facts: dict[Fact, str] = {}
        for name, module in _outermost(self.root):
            if module is not self.root:
                facts |= {(name, key): json.dumps(told) for key, told in self._facts(name, module)}
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
        """Yield those that are not hashed elsewhere, and the places that are left empty."""
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is None:
                yield f"tensor {key}", None
            elif f"{name}.{key}" not in self.stored:
                yield f"tensor {key}", _tensor(tensor)

    def _attributes(self, module: nn.Module) -> Iterator[tuple[str, Any]]:
        installed = code_of(type(module)) is None
        for key, value in vars(module).items():
            if key in INTERNAL or key in PROVENANCE:
                continue
            # Copies of a graph lose them; tensors are what its nodes may name.
            if isinstance(module, fx.GraphModule) and not isinstance(value, Tensor):
                continue
            # Packages keep notes of their own in private ones.
            if installed and key.startswith("_"):
                continue
            yield f"attribute {key}", self.values.describe(value)

    def _nested(self, module: nn.Module) -> Any:
        """Return a module that stands in a list or an object, where torch does not see it."""
        if id(module) in self.names:
            return self.names[id(module)]
        start = f"nested {len(self.names)}"
        found = [(f"{start}.{name}".rstrip("."), part) for name, part in _outermost(module)]
        # Before any is described: they may stand in each other's attributes.
        self.names |= {id(part): name for name, part in found}
        return [[name, *fact] for name, part in found for fact in self._facts(name, part)]


def _outermost(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield all modules, but none inside of TorchScript."""
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
