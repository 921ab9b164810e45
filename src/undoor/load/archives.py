"""Screening of zip archives, unopened: each must read the same for every reader.

zipfile, PyTorch's reader and others disagree over prefixes, comments, local headers, duplicate
names and damaged flags: one of them screens what another then reads differently. Whatever could be
read in two ways is refused here, and so is what unpacks to far more than its size.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from undoor.errors import UndoorError
from undoor.load.regular import open_regular

GIB = 2**30
LOCAL, CENTRAL_END = b"PK\x03\x04", b"PK\x05\x06"
ZIP64_END, ZIP64_LOCATOR = b"PK\x06\x06", b"PK\x06\x07"
END_SIZE, ZIP64_SIZE, LOCATOR_SIZE, LOCAL_SIZE = 22, 56, 20, 30
# Encrypted, compressed patches, strongly encrypted, masked headers.
FORBIDDEN_FLAGS = 0x1 | 0x20 | 0x40 | 0x2000
DESCRIPTOR_FLAG = 0x8
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# An extra field that gives a member another name.
UNICODE_PATH = 0x7075
LINK, DIRECTORY, REGULAR = 0o120000, 0o040000, 0o100000
KINDS = {0, DIRECTORY, REGULAR}


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold.

    Attributes
    ----------
    members
        How many members.
    unpacked
        Bytes of all members together.
    ratio
        Bytes of a member for each byte that it takes in the archive.
    exempt
        Bytes of a member up to which its ratio does not matter.
    """

    members: int = 100_000
    unpacked: int = 16 * GIB
    ratio: float = 200.0
    exempt: int = 2**20


LIMITS = ArchiveLimits()


def require_safe_archive(path: Path, limits: ArchiveLimits = LIMITS) -> None:
    """Refuse a zip file that readers could take differently, or that unpacks to too much.

    Nothing is unpacked. Refused are: bytes in front of the archive or behind its end, comments,
    names that are absolute, lead outside (`..`), or are given twice (letter case aside, as PyTorch
    looks names up), links and devices, encryption, methods other than stored and deflated, members
    that overlap or whose own header contradicts the directory, too many members, too high a ratio
    and too large a total.

    Raises
    ------
    UndoorError
        The archive is refused; names the member.
    """
    with open_screened(path, limits):
        pass


def open_screened(path: Path, limits: ArchiveLimits = LIMITS) -> zipfile.ZipFile:
    """Return the archive, opened for reading; to be closed by the caller.

    Raises
    ------
    UndoorError
        As `require_safe_archive`.
    """
    return open_screened_stream(open_regular(path), path, limits)


def open_screened_stream(
    stream: IO[bytes], path: Path, limits: ArchiveLimits = LIMITS
) -> zipfile.ZipFile:
    """Open an archive as `open_screened` does, from a stream or from a member of another archive.

    Parameters
    ----------
    stream
        Of the archive; closed with it.
    path
        The archive's name in messages.

    Raises
    ------
    UndoorError
        As `require_safe_archive`.
    """
    try:
        _require_end(path, stream)
        archive = zipfile.ZipFile(stream)
        # The stream is the archive's now.
        archive._filePassed = 0  # type: ignore[attr-defined]
        _require_members(path, archive, stream, limits)
    except UndoorError:
        stream.close()
        raise
    # zipfile raises errors of any type over damaged files.
    except Exception as error:
        stream.close()
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UndoorError(
            f"{path} is no readable zip archive ({reason}); it may be truncated: copy it again"
        ) from error
    return archive


def content(archive: zipfile.ZipFile, name: str, path: Path, largest: int) -> bytes:
    """Return the content of a member of at most `largest` bytes.

    Raises
    ------
    UndoorError
        It is larger, or damaged.
    """
    size = archive.getinfo(name).file_size
    if size > largest:
        raise UndoorError(
            f"{path}: its member {name!r} has {size:,} bytes; expected at most {largest:,}"
        )
    try:
        return archive.read(name)
    # zipfile and zlib raise errors of several types over damage.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UndoorError(
            f"{path}: its member {name!r} is damaged ({reason}); it may be truncated: copy it again"
        ) from error


def _refuse(path: Path, what: str) -> UndoorError:
    return UndoorError(
        f"{path} is refused unopened: {what}, so that programs may read it differently or be "
        "harmed by it; save the model again, on a machine you trust"
    )


def _require_end(path: Path, stream: IO[bytes]) -> None:
    """Require the archive to begin and its directory to end where the file does."""
    size = stream.seek(0, 2)
    if size < END_SIZE:
        raise UndoorError(f"{path} is truncated: expected a zip archive, got {size} bytes")
    if _read(stream, 0, 4) not in (LOCAL, CENTRAL_END):
        raise _refuse(path, "something stands in front of the zip archive")
    end = _read(stream, size - END_SIZE, END_SIZE)
    if end[:4] != CENTRAL_END or end[-2:] != b"\0\0" or CENTRAL_END in end[1:]:
        raise UndoorError(
            f"{path} is no whole zip archive: its directory is not at the end (truncated, or a "
            "comment or other data behind it); copy it again"
        )
    disk, start_disk, here, count, length, offset = struct.unpack("<4H2L", end[4:20])
    directory_end = size - END_SIZE
    locator = directory_end - LOCATOR_SIZE
    if locator >= 0 and _read(stream, locator, 4) == ZIP64_LOCATOR:
        directory_end = locator - ZIP64_SIZE
        located = struct.unpack("<LQL", _read(stream, locator + 4, 16))
        record = _read(stream, max(directory_end, 0), ZIP64_SIZE)
        if directory_end < 0 or located != (0, directory_end, 1) or record[:4] != ZIP64_END:
            raise _refuse(path, "its two directory ends contradict each other")
        wide = struct.unpack("<Q2H2L4Q", record[4:])
        narrow = (here, count, length, offset)
        for small, large, limit in zip(narrow, wide[5:], (2**16, 2**16, 2**32, 2**32), strict=True):
            if small not in (limit - 1, large):
                raise _refuse(path, "its two directory ends contradict each other")
        disk, start_disk, (here, count, length, offset) = wide[3], wide[4], wide[5:]
    if disk or start_disk or here != count or offset + length != directory_end:
        raise _refuse(path, "its directory is not where its end record has it")


def _require_members(
    path: Path, archive: zipfile.ZipFile, stream: IO[bytes], limits: ArchiveLimits
) -> None:
    members = archive.infolist()
    if len(members) > limits.members:
        raise _refuse(path, f"it has {len(members):,} members, expected at most {limits.members:,}")
    if len(members) != _count(stream):
        raise _refuse(path, "its directory lists another number of members than its end record has")
    seen: set[str] = set()
    total = 0
    for member in members:
        _require_name(path, member, seen)
        _require_kind(path, member, limits)
        total += member.file_size
    if total > limits.unpacked:
        raise _refuse(path, f"it unpacks to {total:,} bytes, expected at most {limits.unpacked:,}")
    _require_layout(path, members, stream, archive.start_dir)


def _count(stream: IO[bytes]) -> int:
    size = stream.seek(0, 2)
    locator = size - END_SIZE - LOCATOR_SIZE
    if locator >= ZIP64_SIZE and _read(stream, locator, 4) == ZIP64_LOCATOR:
        return struct.unpack("<Q", _read(stream, locator - ZIP64_SIZE + 32, 8))[0]
    return struct.unpack("<H", _read(stream, size - END_SIZE + 10, 2))[0]


def _require_name(path: Path, member: zipfile.ZipInfo, seen: set[str]) -> None:
    name = member.filename
    shown = repr(member.orig_filename[:80])
    parts = PurePosixPath(name).parts
    if name != member.orig_filename or "\\" in name or not name or not name.isprintable():
        raise _refuse(path, f"its member {shown} has a name that readers take differently")
    if name.startswith("/") or ".." in parts or (len(name) > 1 and name[1] == ":"):
        raise _refuse(path, f"its member {shown} leads outside of the archive")
    # PyTorch's reader ignores letter case.
    key = name.rstrip("/").casefold()
    if key in seen:
        raise _refuse(path, f"two of its members are called {shown}, letter case aside")
    seen.add(key)


def _require_kind(path: Path, member: zipfile.ZipInfo, limits: ArchiveLimits) -> None:
    shown = repr(member.filename[:80])
    if member.flag_bits & FORBIDDEN_FLAGS:
        raise _refuse(path, f"its member {shown} is encrypted")
    if member.compress_type not in METHODS:
        raise _refuse(path, f"its member {shown} is compressed by method {member.compress_type}")
    kind = (member.external_attr >> 16) & 0o170000
    # Some writers put permissions alone there, without a kind.
    if kind not in KINDS:
        what = "a link" if kind == LINK else "no ordinary file"
        raise _refuse(path, f"its member {shown} is {what}")
    if member.is_dir() and member.file_size:
        raise _refuse(path, f"its member {shown} is a folder with content")
    if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
        raise _refuse(path, f"its member {shown} is stored uncompressed, but with two sizes")
    large = member.file_size > limits.exempt
    if large and member.file_size > limits.ratio * max(member.compress_size, 1):
        raise _refuse(
            path,
            f"its member {shown} unpacks from {member.compress_size:,} to {member.file_size:,} "
            "bytes, as zip bombs do",
        )


def _require_layout(
    path: Path, members: Sequence[zipfile.ZipInfo], stream: IO[bytes], directory: int
) -> None:
    """Require members' own headers to agree with the directory, and members not to overlap."""
    end = 0
    for member in sorted(members, key=lambda item: item.header_offset):
        shown = repr(member.filename[:80])
        if member.header_offset < end:
            raise _refuse(path, f"its member {shown} overlaps another")
        header = _read(stream, member.header_offset, LOCAL_SIZE)
        if header[:4] != LOCAL:
            raise _refuse(path, f"its member {shown} is not where the directory has it")
        flags, method = struct.unpack("<2H", header[6:10])
        _, packed, size, name_length, extra_length = struct.unpack("<3L2H", header[14:])
        rest = _read(stream, member.header_offset + LOCAL_SIZE, name_length + extra_length)
        coding = "utf-8" if flags & 0x800 else "cp437"
        same = rest[:name_length] == member.orig_filename.encode(coding, "replace")
        if not same or flags != member.flag_bits or method != member.compress_type:
            raise _refuse(path, f"its member {shown} contradicts the directory")
        sizes = ((packed, member.compress_size), (size, member.file_size))
        exact = all(small in (large, 2**32 - 1) for small, large in sizes)
        if not exact and not (flags & DESCRIPTOR_FLAG and packed == size == 0):
            raise _refuse(path, f"its member {shown} is of another size than the directory has")
        if UNICODE_PATH in _extras(member.extra) | _extras(rest[name_length:]):
            raise _refuse(path, f"its member {shown} has a second name")
        end = member.header_offset + LOCAL_SIZE + len(rest) + member.compress_size
    if end > directory:
        raise _refuse(path, "its last member overlaps the directory")


def _extras(extra: bytes) -> set[int]:
    """Return the kinds of the extra fields, up to one that is cut off, as readers do."""
    kinds = set()
    while len(extra) >= 4:
        kind, length = struct.unpack("<2H", extra[:4])
        kinds.add(kind)
        extra = extra[4 + length :]
    return kinds


def _read(stream: IO[bytes], offset: int, length: int) -> bytes:
    stream.seek(offset)
    data = stream.read(length)
    if len(data) != length:
        raise ValueError("it ends too early")
    return data
