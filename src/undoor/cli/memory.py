"""Keep the allocator from giving large buffers back and faulting them in again at every step."""

from __future__ import annotations

import ctypes
import platform
from contextlib import suppress

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
