"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# What the system says where a disk, or a share of it, is full.
FULL = (errno.ENOSPC, errno.EDQUOT)


def walk(folder: Path, *, follow_links: bool = False) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`, but a folder that cannot be listed is an error: it may hold anything.

    Raises
    ------
    OSError : a folder below cannot be listed.
    """
    return os.walk(folder, followlinks=follow_links, onerror=_raise)


def _raise(error: OSError) -> None:
    raise error


def write_atomically(file: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary neighbour of `file`, then put it in its place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Put `text` in the place of `file`, as UTF-8."""
    write_atomically(file, lambda path: path.write_text(text, encoding="utf-8"))


def as_json(document: Any) -> str:
    """The one way in which JSON is written: ASCII, keys in the order given, a line a value; equal
    documents give equal text.

    Raises
    ------
    ValueError : a number is not finite, which JSON does not know.

    >>> as_json({"name": "ç", "size": 0.5})
    '{\\n "name": "\\\\u00e7",\\n "size": 0.5\\n}\\n'
    """
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def write_json(file: Path, document: Any) -> None:
    """Put a document in the place of `file`, as `as_json` writes it."""
    write_text(file, as_json(document))


def why(error: OSError) -> str:
    """What the system says of a file, in lower case as the middle of a sentence."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (error.strerror or str(error)).lower()
