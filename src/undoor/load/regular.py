"""Open ordinary files alone: no device, pipe or socket, whose reading could hang or never end."""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from undoor.errors import UndoorError

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: Path) -> BufferedReader:
    """An ordinary, non-empty file, opened for reading without ever waiting for it.

    The kind is asked of what was opened, so that it cannot be exchanged in between.

    Raises
    ------
    UndoorError : it does not exist, is no ordinary file, is empty, or must not be read.
    """
    # Where the system has it: a named pipe without a writer would wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UndoorError(f"{path} cannot be opened ({reason}); check the path") from error
    found = os.fstat(handle)
    kind = KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is not None or found.st_size == 0:
        os.close(handle)
        got = kind or "an empty file"
        raise UndoorError(f"{path} is {got}; expected a file with a model")
    return os.fdopen(handle, "rb")
