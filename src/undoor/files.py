"""Reading folders, and writing files that are either complete or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# The error numbers of a full disk or an exhausted quota.
FULL = (errno.ENOSPC, errno.EDQUOT)
# A path that starts with a Windows drive.
WINDOWS = re.compile(r"[A-Za-z]:(/|$)")


def walk(
    folder: Path, *, follow_links: bool = False, changing: bool = False
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a folder as `os.walk` does, but raise if a folder cannot be listed.

    Such a folder may hold anything.

    Parameters
    ----------
    changing
        Whether folders may vanish during the walk, which is then no error.

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
    """Let `write` fill a temporary file beside `file`, then move it to `file`."""
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
    """Write `text` to `file` as UTF-8, atomically."""
    write_atomically(file, lambda path: path.write_text(text, encoding="utf-8"))


def as_json(document: Any) -> str:
    r"""Return a document as JSON: ASCII, keys in the given order, one value per line.

    Equal documents give equal text.

    Raises
    ------
    ValueError
        A number is not finite, which JSON cannot express.

    Examples
    --------
    >>> as_json({"name": "ç", "size": 0.5})
    '{\n "name": "\\u00e7",\n "size": 0.5\n}\n'
    """
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def write_json(file: Path, document: Any) -> None:
    """Write a document to `file` as `as_json` formats it, atomically."""
    write_text(file, as_json(document))


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def why(error: OSError) -> str:
    """Return the reason of an error with a file, in lower case for use within a sentence."""
    if isinstance(error, FileNotFoundError):
        return f"no such file{other_spelling(error.filename or '')}"
    return (error.strerror or str(error)).lower()


def other_spelling(path: str | Path) -> str:
    """Return a hint for a path that does not exist and is spelt for a shell or for Windows.

    The hint is "" for any other path.
    """
    text = str(path)
    if any(part.startswith("~") for part in Path(text).parts):
        return ' ("~" is left as it is within quotes and in files: write the home folder out)'
    if os.sep == "/" and ("\\" in text or WINDOWS.match(text)):
        return ' (spelt as on Windows: folders are separated by "/"; C: is /mnt/c in WSL)'
    return ""
