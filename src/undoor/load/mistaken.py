"""Refuse files that are not what their names promise.

They are pointers and error pages from failed downloads, and checkpoints named as another format.
"""

from __future__ import annotations

import json
from pathlib import Path

from undoor.errors import UndoorError
from undoor.load.regular import open_regular

HEAD = 4096
MAX_SHOWN = 60
POINTERS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer", "git lfs pull"),
    (b"version https://hawser.github.com/spec/", "a Git LFS pointer", "git lfs pull"),
    (b"# xet version", "a Xet pointer", "git xet checkout, or download it from its hub"),
    (b"/annex/objects/", "a git-annex pointer", "git annex get"),
    (b"../.git/annex/objects/", "a git-annex pointer", "git annex get"),
    (b".git/annex/objects/", "a git-annex pointer", "git annex get"),
    (b"outs:\n- md5:", "a DVC file", "dvc pull, and give what it describes"),
)
MARKUP = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<error", b"<body")
# How pickles begin, by protocol.
PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
# Bytes of a header of safetensors. A hundred thousand tensors take less; parsed, JSON takes twenty
# times its size and more.
LONGEST_HEADER = 2**24
MARK = b"\xef\xbb\xbf"
WIDE = (b"\xff\xfe", b"\xfe\xff")


def refuse_mistaken(path: Path) -> None:
    """Refuse a pointer, an error page or another format instead of the expected file.

    Raises
    ------
    UndoorError
        It is one; the message names it, and how to get the file.
    """
    with open_regular(path) as stream:
        head = stream.read(HEAD)
    refuse_mistaken_head(path, head)


def refuse_mistaken_head(path: Path, head: bytes) -> None:
    """Refuse the same as `refuse_mistaken`, from the first bytes of a file."""
    _refuse_misnamed(path, head)
    plain = head.removeprefix(MARK).lstrip()
    for start, name, way_out in POINTERS:
        if plain.startswith(start):
            raise UndoorError(f"{path} is {name}, not the file itself; run: {way_out}")
    if plain[:16].lower().startswith(MARKUP):
        raise UndoorError(
            f"{path} is a web page or an error of its server, not the file itself "
            f"({shown(plain)}); download it again"
        )
    by_name = path.suffix.lower() == ".json"
    if plain[:1] == b"{" and not by_name and len(head) < HEAD and _is_json(plain):
        raise UndoorError(
            f"{path} is JSON, as servers send instead of a file ({shown(plain)}); "
            "expected a file with a model: download it again"
        )


def _refuse_misnamed(path: Path, head: bytes) -> None:
    """Refuse what `torch.save` wrote into a file with the name of another format."""
    if path.suffix != ".safetensors" or int.from_bytes(head[:8], "little") <= LONGEST_HEADER:
        return
    if head.startswith((b"PK\x03\x04", *PICKLES)):
        kind = "zip archive" if head.startswith(b"PK") else "pickle"
        raise UndoorError(
            f"{path} is a {kind}, as torch.save writes, under the name of a safetensors file; "
            f"expected what safetensors.torch.save_file writes: rename it to {path.stem}.pt, or "
            "save the state dict as safetensors"
        )


def text_in_place(path: Path) -> str:
    """Return the beginning of a file that is text throughout; "" for any other."""
    with open_regular(path) as stream:
        head = stream.read(HEAD)
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
    return shown(head) if all(c.isprintable() or c in "\r\n\t" for c in text) else ""


def shown(data: bytes) -> str:
    """Return the first words of a text, on one line and without control characters."""
    text = " ".join(data.decode("utf-8", "replace").split())
    return "".join(c for c in text if c.isprintable())[:MAX_SHOWN]


def read_text(path: Path) -> str:
    """Return the text of a file of settings in UTF-8, with or without a byte-order mark.

    Raises
    ------
    UndoorError
        It is in UTF-16, is no text, or is a pointer.
    """
    with open_regular(path) as stream:
        data = stream.read()
    if data.startswith(WIDE) or b"\0" in data[:HEAD]:
        raise UndoorError(
            f"{path} is in UTF-16, or no text; expected UTF-8: save it again as UTF-8 (PowerShell: "
            "Out-File -Encoding utf8)"
        )
    for start, name, way_out in POINTERS:
        if data.startswith(start):
            raise UndoorError(f"{path} is {name}, not the file itself; run: {way_out}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UndoorError(
            f"{path} is not in UTF-8 (byte {error.start}); save it again as UTF-8"
        ) from error


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
