"""How much memory is free: of the machine, and of the container that this process runs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path("/")
# From here on a limit of a control group stands for none.
NO_LIMIT: Final = 2**60


def free_memory(root: Path = ROOT) -> int | None:
    """Return bytes that this process could take without anything else being swapped out or killed.

    Parameters
    ----------
    root
        Where the file systems `proc` and `sys` are.

    Returns
    -------
    int or None
        The least of what the kernel calls available and what the limits of the control groups leave
        (Docker, Kubernetes, Slurm and systemd set these); None where the system does not say, as on
        macOS and Windows.
    """
    available = _available(root)
    if available is None:
        return None
    return max(0, min([available, *_left_in_groups(root)]))


def _available(root: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _left_in_groups(root: Path) -> Iterator[int]:
    """Yield what each limit above this process leaves; of version 2 of control groups and of 1."""
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
    """Yield of the group at `path` and all that hold it. In a container, its own is at the top.

    Parameters
    ----------
    cache
        Of what is used, the name in memory.stat of what the kernel gives back when asked.
    """
    own = top / path.lstrip("/")
    for group in (own, *own.parents):
        with suppress(OSError, ValueError):
            most = int((group / limit).read_text())
            if most < NO_LIMIT:
                yield most - int((group / used).read_text()) + _reclaimable(group, cache)
        if group == top:
            return


def _reclaimable(group: Path, cache: str) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in (group / "memory.stat").read_text().splitlines():
            if line.split()[0] == cache:
                return int(line.split()[1])
    return 0
