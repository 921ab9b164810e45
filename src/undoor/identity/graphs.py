"""A text form of graphs that does not depend on the names of their nodes."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from typing import Any

import torch
from torch import fx

from undoor.identity.values import Values

# What torch adds to class names to make them unique within a process.
MANGLED = re.compile(rb"___torch_mangle_\d+\.?/?")
# Members of a TorchScript archive that hold the origin of its code, not what it computes.
NOT_COMPUTED = re.compile(r"\.debug_pkl$|^\.data/|^(version|byteorder|\.format_version)$")


def fx_lines(graph: fx.Graph, values: Values) -> list[Any]:
    """Return for each node its operation, target and arguments; nodes are named by their place.

    >>> class Twice(torch.nn.Module):
    ...     def forward(self, x): return x + x
    >>> fx_lines(fx.symbolic_trace(Twice()).graph, Values(lambda module: None))[1][:2]
    ['call_function', ['function', '_operator.add']]
    """
    place = {node: index for index, node in enumerate(graph.nodes)}

    def described(value: Any) -> Any:
        if isinstance(value, fx.Node):
            return f"node {place[value]}"
        if isinstance(value, list | tuple):
            return ["sequence", [described(item) for item in value]]
        if isinstance(value, dict):
            return ["mapping", [[key, described(value[key])] for key in sorted(value, key=repr)]]
        if isinstance(value, slice):
            return ["slice", described([value.start, value.stop, value.step])]
        return values.describe(value)

    def target(node: fx.Node) -> Any:
        if node.op in ("placeholder", "output"):
            return ""
        return node.target if isinstance(node.target, str) else values.describe(node.target)

    return [
        [node.op, target(node), described(node.args), described(dict(node.kwargs))]
        for node in graph.nodes
    ]


def script_sha256(script: torch.jit.ScriptModule) -> str:
    """Return a SHA-256 over code, constants, attributes and weights of a TorchScript module."""
    stream = io.BytesIO()
    torch.jit.save(script, stream)
    with zipfile.ZipFile(stream) as archive:
        names = [(item.partition("/")[2], item) for item in archive.namelist()]
        members = sorted(
            (MANGLED.sub(b"", inside.encode()), MANGLED.sub(b"", archive.read(name)))
            for inside, name in names
            if not NOT_COMPUTED.search(inside)
        )
    digest = hashlib.sha256()
    for name, content in members:
        digest.update(f"{len(name)}:{len(content)}:".encode() + name + content)
    return digest.hexdigest()
