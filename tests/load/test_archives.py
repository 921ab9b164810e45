"""Archives that readers could take in two ways, or that would harm: refused unopened."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from undoor.errors import UndoorError
from undoor.load.archives import ArchiveLimits, open_screened, require_safe_archive


def zipped(members: dict[str, bytes], *, compressed: bool = False) -> bytes:
    stream = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def altered(info: Callable[[zipfile.ZipInfo], None], content: bytes = b"content") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        member = zipfile.ZipInfo("m/data.pkl")
        info(member)
        archive.writestr(member, content)
    return stream.getvalue()


def link(member: zipfile.ZipInfo) -> None:
    member.external_attr = (stat.S_IFLNK | 0o777) << 16


def second_name(member: zipfile.ZipInfo) -> None:
    other = b"\x01" + struct.pack("<L", 0) + b"other"
    member.extra = struct.pack("<2H", 0x7075, len(other)) + other


def duplicate(first: str, second: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, pytest.warns() if first == second else _calm():
        archive.writestr(first, b"1")
        archive.writestr(second, b"2")
    return stream.getvalue()


class _calm:  # noqa: N801
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def patched(offset_from_central: int, value: bytes, *, local: int | None = None) -> bytes:
    """A good archive, some bytes of whose directory (and own header) are others."""
    data = bytearray(zipped({"m/data.pkl": b"content"}))
    start = data.index(b"PK\x01\x02") + offset_from_central
    if value:
        data[start : start + len(value)] = value
    if local is not None:
        data[local : local + 2] = b"\x01\x00"
    return bytes(data)


def overlapping() -> bytes:
    """Two entries of the directory for the same bytes."""
    data = zipped({"m/a": b"content"})
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[start:end]
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, 2 * len(entry), start, 0)
    return data[:start] + entry + entry.replace(b"m/a", b"m/b") + tail


GOOD = zipped({"m/data.pkl": b"content", "m/version": b"3"})

CASES = {
    "traversal": (zipped({"../../etc/cron": b"x"}), "leads outside"),
    "absolute": (zipped({"/etc/passwd": b"x"}), "leads outside"),
    "drive": (zipped({"c:/x": b"x"}), "leads outside"),
    "backslash": (zipped({"m\\..\\x": b"x"}), "readers take differently"),
    "newline": (zipped({"m/a\nb": b"x"}), "readers take differently"),
    "link": (altered(link), "a link"),
    "second name": (altered(second_name), "second name"),
    "case": (duplicate("m/data.pkl", "m/DATA.PKL"), "letter case aside"),
    "bomb": (zipped({"m/a": bytes(2**22)}, compressed=True), "zip bombs"),
    "prefix": (b"\x80\x02}q\x00." + GOOD, "in front"),
    "suffix": (GOOD + b"more", "not at the end"),
    "two ends": (GOOD[:-22] + GOOD[-22:-6] + b"PK\x05\x06\x00\x00", "not at the end"),
    "encrypted": (patched(8, b"\x01\x00", local=6), "encrypted"),
    "encrypted in its own header alone": (patched(8, b"", local=6), "contradicts"),
    "method": (patched(10, b"\x0e\x00"), "method 14"),
    "two sizes": (patched(24, b"\xff\xff\x00\x00"), "two sizes"),
    "overlap": (overlapping(), "contradicts|overlaps"),
    "moved directory": (GOOD[:-6] + b"\x05" + GOOD[-5:], "directory is not where"),
    "truncated": (GOOD[:40], "truncated"),
    "noise": (b"PK\x03\x04" + bytes(100), "truncated"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_unopened(tmp_path: Path, name: str) -> None:
    data, message = CASES[name]
    file = tmp_path / "model.pt"
    file.write_bytes(data)
    with pytest.raises(UndoorError, match=message):
        require_safe_archive(file)


def test_duplicates(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(duplicate("m/a", "m/a"))
    with pytest.raises(UndoorError, match="two of its members are called 'm/a'"):
        require_safe_archive(file)


def test_limits(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(GOOD)
    with pytest.raises(UndoorError, match="2 members, expected at most 1"):
        require_safe_archive(file, ArchiveLimits(members=1))
    with pytest.raises(UndoorError, match="unpacks to 8 bytes, expected at most 7"):
        require_safe_archive(file, ArchiveLimits(unpacked=7))


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "a folder"), (tmp_path / "no", "cannot be opened")):
        with pytest.raises(UndoorError, match=message):
            require_safe_archive(path)


def test_what_torch_and_numpy_write_passes(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    example = torch.zeros(1, 3, 8, 8)
    torch.save(net.state_dict(), tmp_path / "a.pt")
    torch.export.save(torch.export.export(net, (example,)), tmp_path / "b.pt2")
    np.savez(tmp_path / "c.npz", x=np.zeros(10))
    np.savez_compressed(tmp_path / "d.npz", x=np.arange(1000.0))
    for name in ("a.pt", "b.pt2", "c.npz", "d.npz"):
        require_safe_archive(tmp_path / name)


def test_opened_for_reading(tmp_path: Path) -> None:
    file = tmp_path / "model.zip"
    file.write_bytes(GOOD)
    with open_screened(file) as archive:
        assert archive.read("m/data.pkl") == b"content"
