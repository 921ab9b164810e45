"""Open ordinary files only: no device, pipe or socket, which could block or never end."""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from undoor.errors import UndoorError
from undoor.files import other_spelling

MAX_PATH = 1000
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def require_reachable(path: Path, what: str, given: str) -> None:
    """Refuse a path that is malformed or cannot be followed; its file may be missing.

    Parameters
    ----------
    path
        The path.
    what
        Whose path it is, for messages.
    given
        The path as it was given.

    Raises
    ------
    UndoorError
        It is too long, has a NUL byte, or leads through a folder that must not be read.
    """
    if len(given) > MAX_PATH or "\0" in given:
        got = f"{len(given):,} characters" if len(given) > MAX_PATH else "a NUL byte"
        raise UndoorError(f"{what} has {got}; expected a path of at most {MAX_PATH:,} characters")
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UndoorError(f"{what}: {path} cannot be opened ({reason}); check the path") from error


def open_regular(path: Path) -> BufferedReader:
    """Open an ordinary, non-empty file for reading, without ever waiting for it.

    The kind is that of the file that was opened, which cannot be exchanged in between.

    Raises
    ------
    UndoorError
        It does not exist, is no ordinary file, is empty, or must not be read.
    """
    # Where the system has it: opening a named pipe without a writer would block.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UndoorError(
            f"{path} cannot be opened ({reason}){other_spelling(path)}; check the path"
        ) from error
    found = os.fstat(handle)
    kind = KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is not None or found.st_size == 0:
        os.close(handle)
        got = kind or "an empty file"
        raise UndoorError(f"{path} is {got}; expected a file with a model")
    return os.fdopen(handle, "rb")
