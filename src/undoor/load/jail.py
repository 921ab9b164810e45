"""Confinement of a process: no network, writing, other programs or processes; limited memory.

Used by `undoor.load.opened` alone, in a process without other threads, which would stay
unconfined. Every step is tried and none is relied on; the steps that took effect are reported.
The kernel's own interfaces are called because no maintained library wraps Landlock; see
landlock(7), unshare(2), prctl(2), seccomp(2), getrlimit(2).
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import time
from pathlib import Path

from undoor.load.system_calls import deny_system_calls

NO_NEW_PRIVILEGES, END_WITH_PARENT = 38, 1
TIMED_OUT = 124
NEW_USER, NEW_NETWORK, NEW_PROCESSES, NEW_IPC = 0x10000000, 0x40000000, 0x20000000, 0x08000000
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE, READ, LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE = 1 << 4 | 1 << 5
# Rights over files by version of Landlock: 13 of the first, then REFER, TRUNCATE, IOCTL_DEV.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
TRUNCATE_SINCE = 3
NETWORK_SINCE, SCOPES_SINCE = 4, 6
PATH_BENEATH = 1


def confine(writable: Path, seconds: int) -> list[str]:
    """Confine this process for good, as far as the system allows.

    Parameters
    ----------
    writable
        The folder in which it may still write.
    seconds
        Of computing, after which the process is ended.

    Returns
    -------
    list of str
        The restrictions that took effect, in words.
    """
    restrictions = _limits(seconds)
    if not sys.platform.startswith("linux"):
        return restrictions
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
        restrictions.append("no new privileges")
    if libc.unshare(NEW_USER | NEW_NETWORK | NEW_PROCESSES | NEW_IPC) == 0:
        restrictions.append("no network, and a process namespace of its own (namespaces)")
        _become_first(libc, seconds)
    elif libc.unshare(NEW_USER | NEW_NETWORK) == 0:
        restrictions.append("no network (namespace)")
    return restrictions + _landlock(libc, writable)


def limit_memory(amount: int) -> list[str]:
    """Allow this process, and each that it starts, `amount` bytes more than it has now."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + amount
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_FSIZE, (amount, amount))
    except (ImportError, OSError, ValueError):
        return []
    return [f"{amount / 2**30:.1f} GiB of memory for each process, and for each file"]


def give_up_calls() -> list[str]:
    """Give up processes, sockets and file properties: the last step, since others need them."""
    if not deny_system_calls():
        return []
    return ["no sockets, no other processes, no changes of file modes, times, owners (seccomp)"]


def _limits(seconds: int) -> list[str]:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return []
    return [f"{seconds} s of computing"]


def _become_first(libc: ctypes.CDLL, seconds: int) -> None:
    """Fork the first process of the new namespace: when it ends, all that it started ends.

    The calling process stays outside, and ends the new one when its time is up.
    """
    child = os.fork()
    if not child:
        libc.prctl(END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        return
    deadline = time.monotonic() + seconds
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os._exit(TIMED_OUT)
        time.sleep(0.02)
    os._exit(os.waitstatus_to_exitcode(ended[1]) & 0xFF)


def _landlock(libc: ctypes.CDLL, writable: Path) -> list[str]:
    version = libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return []
    handled = (1 << FILE_RIGHTS.get(version, 16)) - 1
    network = 0b11 if version >= NETWORK_SINCE else 0
    scopes = 0b11 if version >= SCOPES_SINCE else 0
    fields = struct.pack("=QQQ", handled, network, scopes)
    fields = fields[: 24 if scopes else 16 if network else 8]
    rules = libc.syscall(CREATE_RULESET, fields, len(fields), 0)
    if rules < 0:
        return []
    # All rights over files but executing them, device controls, and removing them: the parent
    # bounds what is written, and has to see it.
    everything = handled & ~EXECUTE & ~(1 << 15) & ~REMOVE
    on_file = READ | WRITE | (1 << 14 if version >= TRUNCATE_SINCE else 0)
    allowed = ((Path("/"), READ | LIST), (writable, everything), (Path(os.devnull), on_file))
    done = all(_allow(libc, rules, path, rights & handled) for path, rights in allowed)
    done = done and libc.syscall(RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    if not done:
        return []
    restrictions = ["no writing outside of a temporary folder, no other programs (Landlock)"]
    return restrictions + (["no TCP (Landlock)"] if network else [])


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> bool:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined,unused-ignore]
    try:
        rule = struct.pack("=Qi", rights, handle)
        return bool(libc.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0) == 0)
    finally:
        os.close(handle)
