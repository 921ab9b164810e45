"""Members of untrusted tar archives: headers that would trap Python's own reader.

A negative size sends `tarfile` back to a header that it has read, in an endless loop
(CVE-2025-8194, not fixed in every Python that we support); its expressions for extended headers
take the square of their length (CVE-2024-6232); headers before headers recurse.
"""

from __future__ import annotations

import re
import tarfile
from typing import Any

# Of an extended header or a long name: paths have 4,096 bytes at most.
MAX_HEADER = 64 * 2**10
# Headers in front of one member: a long name, a long link and what pax knows of the file.
MAX_HEADERS = 8
# What pax headers for all members may hold; each is looked at for every member.
MAX_GLOBAL = 64
EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
RECORD = re.compile(rb"(\d{1,7}) [^=\n]+=")
# Numbers and names of people have no more digits in a row; tarfile tries each of them anew.
DIGITS = re.compile(rb"\d{512}")


class Member(tarfile.TarInfo):
    """A member whose header is checked before `tarfile` acts upon it."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size < 0:
            raise tarfile.ReadError(f"a header at byte {self.offset} has a size of {self.size}")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError(f"a sparse member at byte {self.offset}")
        if self.type not in EXTENDED:
            return self._proceed(archive)
        if self.size > MAX_HEADER:
            raise tarfile.ReadError(f"a header asks for {self.size} bytes")
        depth = getattr(archive, "_undoor_depth", 0)
        if depth >= MAX_HEADERS:
            raise tarfile.ReadError(f"more than {MAX_HEADERS} headers in front of one member")
        self._require_plain(archive)
        vars(archive)["_undoor_depth"] = depth + 1
        try:
            return self._proceed(archive)
        finally:
            vars(archive)["_undoor_depth"] = depth

    def _proceed(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found

    def _require_plain(self, archive: tarfile.TarFile) -> None:
        """Refuse an extended header whose text is not a list of names and values."""
        if self.type not in PAX:
            return
        stream: Any = archive.fileobj
        start = stream.tell()
        text = stream.read(self.size)
        stream.seek(start)
        if not _is_list(text) or DIGITS.search(text) or b"GNU.sparse." in text:
            raise tarfile.ReadError(
                f"an extended header at byte {self.offset} is not a list of names and values"
            )
        if len(archive.pax_headers) > MAX_GLOBAL:
            raise tarfile.ReadError(f"more than {MAX_GLOBAL} headers for all members")


def _is_list(text: bytes) -> bool:
    """Return whether these are records "LENGTH NAME=VALUE" and a new line, one behind another."""
    start = 0
    while start < len(text):
        match = RECORD.match(text, start)
        if match is None:
            return False
        end = start + int(match[1])
        if end <= match.end() or text[end - 1 : end] != b"\n":
            return False
        start = end
    return True


def require_forward(archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Refuse a member after which the reader would not be further in the file than before.

    Raises
    ------
    tarfile.ReadError
        Its size is negative, or the next header lies before its own.
    """
    ahead = archive.offset > member.offset
    if member.size < 0 or not ahead or member.offset_data < member.offset:
        raise tarfile.ReadError(f"a header at byte {member.offset} leads back to itself")
