"""Universal Binary JSON, as far as XGBoost writes it; read strictly, without a library."""

from __future__ import annotations

from typing import Any

import numpy as np

NUMBERS = {
    b"i": ">i1",
    b"U": ">u1",
    b"I": ">i2",
    b"l": ">i4",
    b"L": ">i8",
    b"d": ">f4",
    b"D": ">f8",
}
PLAIN = {b"T": True, b"F": False, b"Z": None}
DEEPEST = 32


def read_ubjson(data: bytes) -> Any:
    r"""Return what the bytes hold, arrays of one type as NumPy arrays.

    Raises
    ------
    ValueError
        They are no such document, or go on behind it.

    Examples
    --------
    >>> read_ubjson(b"{i\x01a[$i#i\x02\x05\x06}")["a"].tolist()
    [5, 6]
    """
    reader = _Reader(data)
    found = reader.value(reader.take(1), 0)
    if reader.place != len(data):
        raise ValueError("something stands behind the document")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.place:
            raise ValueError("it is cut off")
        self.place += count
        return self.data[self.place - count : self.place]

    def value(self, kind: bytes, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("it is nested too deep")
        if kind in NUMBERS:
            return self.number(kind)
        if kind in PLAIN:
            return PLAIN[kind]
        if kind == b"S":
            return self.text()
        if kind == b"{":
            return self.mapping(depth)
        if kind == b"[":
            return self.sequence(depth)
        raise ValueError(f"a value of kind {kind!r}")

    def number(self, kind: bytes) -> int | float:
        form = np.dtype(NUMBERS[kind])
        found: int | float = np.frombuffer(self.take(form.itemsize), form)[0].item()
        return found

    def count(self) -> int:
        kind = self.take(1)
        found = self.number(kind) if kind in NUMBERS else -1
        if not isinstance(found, int) or found < 0:
            raise ValueError("a length that is none")
        return found

    def text(self) -> str:
        return self.take(self.count()).decode("utf-8")

    def mapping(self, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while self.data[self.place : self.place + 1] != b"}":
            name = self.text()
            out[name] = self.value(self.take(1), depth + 1)
        self.take(1)
        return out

    def sequence(self, depth: int) -> Any:
        mark = self.data[self.place : self.place + 1]
        if mark == b"$":
            self.take(1)
            kind = self.take(1)
            if kind not in NUMBERS or self.take(1) != b"#":
                raise ValueError("an array of no known numbers")
            form = np.dtype(NUMBERS[kind])
            count = self.count()
            return np.frombuffer(self.take(count * form.itemsize), form).astype(
                form.newbyteorder("=")
            )
        if mark == b"#":
            self.take(1)
            return [self.value(self.take(1), depth + 1) for _ in range(self.count())]
        out = []
        while (kind := self.take(1)) != b"]":
            out.append(self.value(kind, depth + 1))
        return out
