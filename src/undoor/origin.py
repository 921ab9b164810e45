"""The origin of a network beyond its weights: the code that built it, or its graph."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CodeFile:
    """A Python file that was run to build a network.

    Attributes
    ----------
    path
        The path under which the file was opened.
    sha256
        SHA-256 of the bytes that were run.
    """

    path: str
    sha256: str


@dataclass(frozen=True)
class Origin:
    """What a network consists of besides its weights.

    Attributes
    ----------
    code
        The Python files that were run to build it, other than installed packages.
    graph_sha256
        SHA-256 of the canonical graph, or of the bytes of the file, if the model is a graph
        (`.pt2`, ONNX, TorchScript); None if code builds it.
    call_sha256
        SHA-256 of the name and the arguments of the callable that built it; None if none did.
    """

    code: tuple[CodeFile, ...] = ()
    graph_sha256: str | None = None
    call_sha256: str | None = None
