"""TorchScript archives: their screening, and their networks, which are opaque.

TorchScript is a small language, run by torch: it reaches files, networks and native code through
operators alone, and by their names. The layers of a script are no modules of Python, so that none
of them can be corrected.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch

from undoor.errors import UndoorError, first_line
from undoor.load.archives import content
from undoor.load.graph import Graph
from undoor.load.operators import computes, reaching_files
from undoor.load.pickles import Breach, Screening
from undoor.load.regular import open_regular

LARGEST_CODE = 2**26
MEMBERS = re.compile(
    r"(data|constants|attributes)\.pkl|code/[\w./]+\.py|code/[\w./]+\.py\.debug_pkl|data/\d+"
    r"|constants/\d+|traced_inputs/\d+|traced_inputs\.pkl|version|byteorder|\.data/[a-z_]+|\.format_version|\.storage_alignment"
)
WORD = re.compile(r"[A-Za-z_]\w*")
TORCH = re.compile(r"\btorch\.([A-Za-z_]\w*)")
OTHER = re.compile(r"\bops\.(\w+)\.(\w+)")
# With another name for torch, or a blank before its dot, what is called would not be known.
LOOSE = re.compile(r"\btorch\b(?!\.[A-Za-z_])|(?<!\.)\bops\b(?!\.\w+\.\w)")
# Attributes of torch in a script that are no operators.
WORDS = frozenset({"jit", "nn", "device", "dtype", "layout", "Tensor", "torch", "autograd"})
NAMESPACES = frozenset({"prim", "aten"})
# In code and in pickles, whose names end with a line.
NATIVE = re.compile(rb"torch[\s.]*\bclasses\b")


def is_script(names: list[str]) -> bool:
    """Return whether these are the members of a TorchScript archive."""
    inside = {name.partition("/")[2] or name for name in names}
    return any(n.startswith("code/") or n == "constants.pkl" for n in (*inside, *names))


def screen_script(archive: zipfile.ZipFile, path: Path, found: Screening) -> None:
    """Screen an archive for members and operators that no classifier needs.

    Parameters
    ----------
    archive
        As `open_screened` opened it.
    path
        Of the archive, for messages.
    found
        What is found is added here.

    Raises
    ------
    UndoorError
        A part is damaged, or far larger than code is.
    """
    reaching = reaching_files()
    for name in archive.namelist():
        inside = name.partition("/")[2]
        if name.endswith("/"):
            continue
        if not MEMBERS.fullmatch(inside):
            why = f"its member {name[:80]!r} is no part of a script of tensors alone"
            found.add(Breach("", why, "", 0, name))
        elif inside.endswith((".py", ".pkl")):
            data = content(archive, name, path, LARGEST_CODE)
            for why in _of_classes(data):
                found.add(Breach("", why, "", 0, name))
            if inside.endswith(".py"):
                for why in _of_code(data.decode("utf-8", "replace"), reaching):
                    found.add(Breach("", why, "", 0, name))


def _of_classes(data: bytes) -> Iterator[str]:
    if NATIVE.search(data):
        yield "it uses classes of a native library (torch.classes)"


def _of_code(code: str, reaching: frozenset[str]) -> Iterator[str]:
    """Yield the names in code that no classifier needs, in words.

    Operators `reaching` files are refused wherever their names stand: torch may go by another name,
    and blanks and comments may stand around dots.
    """
    for word in sorted(set(WORD.findall(code)) & reaching):
        yield f"its code names torch.{word}, which no classifier needs"
    for word in sorted(set(TORCH.findall(code)) - WORDS - reaching):
        if not _harmless(word):
            yield f"its code names torch.{word[:80]}, which no classifier needs"
    for space, word in sorted(set(OTHER.findall(code))):
        if space not in NAMESPACES or (space == "aten" and not computes(word)):
            yield f"its code calls the operator {space[:80]}::{word[:80]}"
    if LOOSE.search(code):
        yield "its code names torch or its operators in a form that torch does not write"


def _harmless(word: str) -> bool:
    """Return whether a name is an operator of torch that only computes, or a class of a script."""
    return (
        computes(word)
        or word.startswith("___torch_mangle")
        or word in dir(torch.nn.modules)
        or isinstance(getattr(torch, word, None), torch.dtype)
    )


def read(path: Path) -> Graph:
    """Return the network in an archive that was screened; its input's shape is not in it.

    Raises
    ------
    UndoorError
        Torch cannot open it.
    """
    with open_regular(path) as stream:
        data = stream.read()
    try:
        network = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()
    except Exception as error:
        raise UndoorError(
            f"torch.jit cannot open {path} ({first_line(error)}); it may be of another version of "
            "torch: save it again with this one"
        ) from error
    # Before it is copied: copies of weights with gradients would be no leaves of the graph.
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return Graph(network, None)
