"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# What the system says where a disk, or a share of it, is full.
FULL = (errno.ENOSPC, errno.EDQUOT)
# A drive of Windows.
WINDOWS = re.compile(r"[A-Za-z]:(/|$)")


def walk(
    folder: Path, *, follow_links: bool = False, changing: bool = False
) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`, but a folder that cannot be listed is an error: it may hold anything.

    Parameters
    ----------
    changing
        Whether folders may vanish meanwhile, which is no error then.

    Raises
    ------
    OSError
        A folder below cannot be listed.
    """

    def fail(error: OSError) -> None:
        if not (changing and isinstance(error, FileNotFoundError)):
            raise error

    return os.walk(folder, followlinks=follow_links, onerror=fail)


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
    """Return the one way in which JSON is written: ASCII, keys in the order given, a line a value.

    Equal documents give equal text.

    Raises
    ------
    ValueError
        A number is not finite, which JSON does not know.

    Examples
    --------
    >>> as_json({"name": "ç", "size": 0.5})
    '{\\n "name": "\\\\u00e7",\\n "size": 0.5\\n}\\n'
    """
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def write_json(file: Path, document: Any) -> None:
    """Put a document in the place of `file`, as `as_json` writes it."""
    write_text(file, as_json(document))


def why(error: OSError) -> str:
    """Return what the system says of a file, in lower case as the middle of a sentence."""
    if isinstance(error, FileNotFoundError):
        return f"no such file{other_spelling(error.filename or '')}"
    return (error.strerror or str(error)).lower()


def other_spelling(path: str | Path) -> str:
    """Return what to say behind a message that a path does not exist.

    Where it is spelt as for a shell, or for another system; "" elsewhere.
    """
    text = str(path)
    if any(part.startswith("~") for part in Path(text).parts):
        return ' ("~" is left as it is within quotes and in files: write the home folder out)'
    if os.sep == "/" and ("\\" in text or WINDOWS.match(text)):
        return ' (spelt as on Windows: folders are separated by "/"; C: is /mnt/c in WSL)'
    return ""
