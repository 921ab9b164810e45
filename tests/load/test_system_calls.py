"""What a process cannot do any more once it has denied itself system calls."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from undoor.load.system_calls import ARCHITECTURES, CLONE, DENIED, HIDING

CODE = """
import os, socket, sys, threading
from undoor.load.system_calls import deny_system_calls
file = sys.argv[1]
assert deny_system_calls()

def denied(work):
    try:
        work()
    except PermissionError:
        return True
    return False

assert denied(lambda: socket.socket(socket.AF_UNIX))
assert denied(lambda: socket.socket())
assert denied(socket.socketpair)
assert denied(lambda: os.chmod(file, 0o777))
assert denied(lambda: os.fchmod(os.open(file, os.O_RDONLY), 0o777))
assert denied(lambda: os.utime(file))
assert denied(lambda: os.setxattr(file, "user.a", b"1"))
assert denied(lambda: os.chown(file, os.getuid(), os.getgid()))
assert denied(lambda: os.link(file, file + "2"))
assert denied(lambda: os.symlink(file, file + "2"))
assert denied(lambda: os.mkfifo(file + "2"))
assert denied(lambda: os.open(os.path.dirname(file), os.O_TMPFILE | os.O_RDWR))
assert denied(lambda: os.memfd_create("x"))
assert denied(lambda: os.truncate(file, 0))
assert denied(lambda: os.kill(os.getppid(), 0))
assert denied(os.fork)
assert denied(lambda: os.posix_spawn("/bin/true", ["true"], {}))
assert denied(lambda: os.execv("/bin/true", ["true"]))
ran = []
thread = threading.Thread(target=lambda: ran.append(1))
thread.start()
thread.join()
assert ran == [1]
with open(file, "w") as stream:
    stream.write("written")
print("whole")
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ARCHITECTURES,
    reason="seccomp is Linux's, and numbers of calls are those of a processor",
)
def test_denied(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(file)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "whole\n", done.stderr
    assert file.read_text() == "written"


def test_numbers_are_told_apart() -> None:
    """A number given twice would deny something else than what it says."""
    for column in range(len(ARCHITECTURES)):
        pairs = [*DENIED.values(), *HIDING.values(), CLONE]
        numbers = [pair[column] for pair in pairs if pair[column] is not None]
        assert len(numbers) == len(set(numbers))
