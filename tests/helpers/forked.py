"""The command in a copy of this process, which need not import torch again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
import warnings

import torch

from undoor.cli import main


def undoor(
    *arguments: object, encoding: str = "utf-8", stdout: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end, with descriptors 1 and 2 of its own.

    What depends on how Python itself starts and ends needs a new process instead.

    Parameters
    ----------
    encoding
        That of stdout and stderr, as `PYTHONIOENCODING` sets it.
    stdout
        A descriptor to write to; without one, what is written is returned.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        to = out.fileno() if stdout is None else stdout
        child = start(*arguments, stdout=to, stderr=err.fileno(), encoding=encoding)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([*map(str, arguments)], code, out.read(), err.read())


def start(*arguments: object, stdout: int, stderr: int, encoding: str = "utf-8") -> int:
    """Start the command and return the number of its process."""
    with warnings.catch_warnings():
        # Python warns of other threads, which hold no lock that the command needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        code = _command([str(argument) for argument in arguments], encoding)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _command(arguments: list[str], encoding: str) -> int:
    """Run the command as the shell does, and return its exit code."""
    warnings.resetwarnings()
    torch.set_num_threads(1)  # Those of OpenMP are not copied.
    sys.argv = ["undoor", *arguments]
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 1
