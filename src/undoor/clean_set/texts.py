"""Text files that people wrote: with or without a byte-order mark, and of bounded size."""

from __future__ import annotations

import codecs
from pathlib import Path

# What Notepad and PowerShell put in front. Longer marks first: that of UTF-32 begins as UTF-16's.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MAX_BYTES = 64 * 2**20


def decoded(data: bytes) -> str:
    r"""Decode text by the byte-order mark at its beginning, without the mark; else as UTF-8.

    Raises
    ------
    ValueError
        It is no text in that encoding.

    Examples
    --------
    >>> decoded(b"\xef\xbb\xbfapple"), decoded(b"\xff\xfea\x00")
    ('apple', 'a')
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    return data.decode("utf-8")


def read_text(file: Path) -> str:
    """Return the text of a file (see `decoded`).

    Raises
    ------
    ValueError
        It is no text, or larger than 64 MiB.
    OSError
        It cannot be read.
    """
    with file.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes")
    return decoded(data)
