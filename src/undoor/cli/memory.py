"""Memory of this process: how freed buffers are handled, and how much is held."""

from __future__ import annotations

import ctypes
import platform
import sys
from contextlib import suppress
from pathlib import Path

from undoor.errors import UndoorError

# Parameters of mallopt in glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_MMAP_MAX = -4
NEVER_TRIM = 2**31 - 1
# The default of glibc, and from how many bytes on a buffer is returned as a whole.
USUAL_MMAP_MAX = 65536
LARGE = 2**22


def keep_buffers() -> None:
    """Let glibc reuse freed memory instead of returning it; elsewhere nothing happens.

    Long optimisation on a CPU allocates the same megabytes every step; mapping and zeroing them
    anew takes up to a third of the time.
    """
    _mallopt((M_TRIM_THRESHOLD, NEVER_TRIM), (M_MMAP_MAX, 0))


def return_buffers() -> None:
    """Let glibc return large buffers to the system at once: the opposite of `keep_buffers`.

    This is slower, but memory that has a limit must not be lost to gaps between buffers.
    """
    _mallopt((M_TRIM_THRESHOLD, LARGE), (M_MMAP_THRESHOLD, LARGE), (M_MMAP_MAX, USUAL_MMAP_MAX))


def _mallopt(*settings: tuple[int, int]) -> None:
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in settings:
            mallopt(parameter, value)


def resident() -> int:
    """Return the bytes of memory that this process holds now.

    Where the system does not report that, the most that it ever held.
    """
    import os

    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource
    except ImportError:
        raise UndoorError("--memory: this system does not report how much memory is held") from None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
