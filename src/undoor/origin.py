"""Where a network comes from, beyond its weights: the code that built it, the graph that it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CodeFile:
    """A Python file that was run to build a network.

    Attributes
    ----------
    path
        As it was opened.
    sha256
        Of its bytes, as they were run.
    """

    path: str
    sha256: str


@dataclass(frozen=True)
class Origin:
    """What a network is besides its weights.

    code : the Python files that were run to build it, other than installed packages.
    graph_sha256 : of the canonical graph, or of the bytes of the file, where the model is a graph
        (`.pt2`, ONNX, TorchScript); None where it is built by code.
    call_sha256 : of the callable that was called to build it, by its name, and of its arguments;
        None where nothing was called.
    """

    code: tuple[CodeFile, ...] = ()
    graph_sha256: str | None = None
    call_sha256: str | None = None
