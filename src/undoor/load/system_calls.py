"""Deny a process, for good, the system calls that unpickling tensors never needs.

This is a filter of Linux's seccomp(2) with a list of denied calls: reading and computing are not
changed; calls that reach other processes, the network or the properties of files fail with EPERM.
It is written out because no maintained package on PyPI wraps seccomp without a system library.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys

SET_SECCOMP, MODE_FILTER = 22, 2
NO_NEW_PRIVILEGES = 38
# linux/audit.h, and the bit of x86-64's second calling convention.
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000
THREAD = 0x00010000
ALLOW, DENY, NO_SUCH_CALL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS

# Numbers by name, of x86-64 and of the generic table that aarch64 has; None where there is none.
DENIED: dict[str, tuple[int | None, int | None]] = {
    # The network, and sockets of every other kind.
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206),
    "sendmsg": (46, 211), "sendmmsg": (307, 269),
    # Properties of files, links, and special files.
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469), "truncate": (76, 45),
    "mknod": (133, None), "mknodat": (259, 33), "link": (86, None), "linkat": (265, 37),
    "symlink": (88, None), "symlinkat": (266, 36), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "mq_open": (240, 180), "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # Other processes, and other programs.
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "kcmp": (312, 272),
    "prlimit64": (302, 261), "setrlimit": (160, 164), "setpriority": (141, 140),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190),
    # The system itself, and ways around this filter.
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsmount": (432, 432), "unshare": (272, 97),
    "setns": (308, 268), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "personality": (135, 92),
    "modify_ldt": (154, None), "swapon": (167, 224), "quotactl": (179, 60), "acct": (163, 89),
}  # fmt: skip
# Calls that hide their flags in memory, which a filter cannot read: libraries fall back to others.
HIDING = {"clone3": (435, 435), "openat2": (437, 437)}
# Calls whose flags are arguments: number, which argument, and the bit that decides. Threads are
# allowed, processes are not; the parent, which bounds what is written, cannot see unnamed files.
CLONE, OPEN, OPENAT = (56, 220), (2, None), (257, 56)
NAMELESS = 0x00400000


def deny_system_calls() -> bool:
    """Install the filter for this process, and return whether the system accepted it."""
    machine = platform.machine()
    if not sys.platform.startswith("linux") or machine not in ARCHITECTURES:
        return False
    if sys.byteorder != "little" or struct.calcsize("P") != 8:
        return False
    program = _program(machine)
    code = ctypes.create_string_buffer(b"".join(program))
    described = struct.pack("@HP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(SET_SECCOMP, MODE_FILTER, described, 0, 0) == 0)


def _program(machine: str) -> list[bytes]:
    """Return the instructions of the filter; see linux/seccomp.h for the offsets."""
    column = list(ARCHITECTURES).index(machine)
    lines = [_load(4), *_when(0x15, ARCHITECTURES[machine], [], [_action(DENY)]), _load(0)]
    lines += _when(0x35, X32_BIT, [_action(DENY)], [])
    for pair in DENIED.values():
        lines += _for_call(pair[column], [_action(DENY)])
    for pair in HIDING.values():
        lines += _for_call(pair[column], [_action(NO_SUCH_CALL)])
    lines += _for_call(
        CLONE[column], [_load(16), *_when(0x45, THREAD, [_action(ALLOW)], [_action(DENY)])]
    )
    for pair, offset in ((OPEN, 24), (OPENAT, 32)):
        nameless = _when(0x45, NAMELESS, [_action(DENY)], [_action(ALLOW)])
        lines += _for_call(pair[column], [_load(offset), *nameless])
    return [*lines, _action(ALLOW)]


def _for_call(number: int | None, lines: list[bytes]) -> list[bytes]:
    return [] if number is None else _when(0x15, number, lines, [])


def _when(test: int, value: int, then: list[bytes], otherwise: list[bytes]) -> list[bytes]:
    """Return instructions for where a test holds, and for where it does not.

    Tests are equal (0x15), at least (0x35) and common bits (0x45). Those for where it holds end in
    an action if there are others.
    """
    if not then:
        return [_jump(test, value, len(otherwise), 0), *otherwise]
    return [_jump(test, value, 0, len(then)), *then, *otherwise]


def _load(offset: int) -> bytes:
    return struct.pack("=HBBI", 0x20, 0, 0, offset)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _action(value: int) -> bytes:
    return struct.pack("=HBBI", 0x06, 0, 0, value)
