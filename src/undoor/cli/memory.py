"""What the system is told of memory, and what it tells."""

from __future__ import annotations

import ctypes
import platform
import sys
from contextlib import suppress
from pathlib import Path

from undoor.errors import UndoorError

# Parameters of mallopt in glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
NEVER_TRIM = 2**31 - 1


def keep_buffers() -> None:
    """Let glibc reuse freed memory instead of returning it; elsewhere nothing happens.

    Long optimisation on a CPU allocates the same megabytes every step; mapping and zeroing them
    anew takes up to a third of the time.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, NEVER_TRIM)
        mallopt(M_MMAP_MAX, 0)


def resident() -> int:
    """Bytes of memory that this process holds now; where the system does not tell, at most."""
    import os

    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource
    except ImportError:
        raise UndoorError("--memory: this system does not tell how much memory is held") from None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
