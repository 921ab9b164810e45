"""How much memory is available on this machine, and in the container around this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path("/")
# A limit of a control group from here on means that there is none.
NO_LIMIT: Final = 2**60


def available_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that this process could take without others being swapped out or killed.

    Parameters
    ----------
    root
        Where the file systems `proc` and `sys` are.

    Returns
    -------
    int or None
        The smallest of what the kernel calls available and what the limits of control groups leave
        (Docker, Kubernetes, Slurm and systemd set these); None where the system does not report it,
        as on macOS and Windows.
    """
    available = _of_kernel(root)
    if available is None:
        return None
    return max(0, min([available, *_left_in_groups(root)]))


def _of_kernel(root: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _left_in_groups(root: Path) -> Iterator[int]:
    """Yield what each limit above this process leaves, in control groups of version 2 and 1."""
    top = root / "sys/fs/cgroup"
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds == "":
                yield from _left(top, path, "memory.max", "memory.current", "inactive_file")
            elif "memory" in kinds.split(","):
                files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield from _left(top / "memory", path, *files)


def _left(top: Path, path: str, limit: str, used: str, cache: str) -> Iterator[int]:
    """Yield what the group at `path` and each group around it leave.

    In a container, the group of the process is at the top.

    Parameters
    ----------
    cache
        The name in memory.stat of the used memory that the kernel gives back when needed.
    """
    innermost = top / path.lstrip("/")
    for group in (innermost, *innermost.parents):
        with suppress(OSError, ValueError):
            maximum = int((group / limit).read_text())
            if maximum < NO_LIMIT:
                yield maximum - int((group / used).read_text()) + _reclaimable(group, cache)
        if group == top:
            return


def _reclaimable(group: Path, cache: str) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in (group / "memory.stat").read_text().splitlines():
            if line.split()[0] == cache:
                return int(line.split()[1])
    return 0
