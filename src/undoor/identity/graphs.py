"""The text of a graph: what is computed, whatever its nodes happen to be called."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from typing import Any

import torch
from torch import fx

from undoor.identity.values import Values

# What torch puts into names of classes so that they differ within one process.
MANGLED = re.compile(rb"___torch_mangle_\d+\.?/?")
# Members of a TorchScript archive that say where its code came from, not what it does.
NOT_COMPUTED = re.compile(r"\.debug_pkl$|^\.data/|^(version|byteorder|\.format_version)$")


def fx_lines(graph: fx.Graph, values: Values) -> list[Any]:
    """Return one entry for each node: what it does, to what; nodes are named by their place.

        >>> class Twice(torch.nn.Module):
        ...     def forward(self, x): return x + x
        >>> fx_lines(fx.symbolic_trace(Twice()).graph, Values(lambda module: None))[1]
        ['call_function', ['function', '_operator.add'], ['sequence', ['node 0', 'node 0']], \
    ['mapping', []]]
    """
    place = {node: index for index, node in enumerate(graph.nodes)}

    def told(value: Any) -> Any:
        if isinstance(value, fx.Node):
            return f"node {place[value]}"
        if isinstance(value, list | tuple):
            return ["sequence", [told(item) for item in value]]
        if isinstance(value, dict):
            return ["mapping", [[key, told(value[key])] for key in sorted(value, key=repr)]]
        if isinstance(value, slice):
            return ["slice", told([value.start, value.stop, value.step])]
        return values.describe(value)

    def target(node: fx.Node) -> Any:
        if node.op in ("placeholder", "output"):
            return ""
        return node.target if isinstance(node.target, str) else values.describe(node.target)

    return [
        [node.op, target(node), told(node.args), told(dict(node.kwargs))] for node in graph.nodes
    ]


def script_sha256(script: torch.jit.ScriptModule) -> str:
    """SHA-256 over code, constants, attributes and weights of a TorchScript module."""
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
