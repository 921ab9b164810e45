"""Pages of Parquet files, whose sizes are checked before any is decompressed.

Only the page headers state the unpacked size of a page, and a reader allocates that much. They and
the footer are Thrift in its compact form; pyarrow ends the whole process over some damaged footers
when it is asked for a column's metadata, so that the footer is read here.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

# Bytes of a page for each byte that it takes in the file; smaller pages are exempt.
MAX_RATIO = 200
EXEMPT = 16 * 2**20
MAX_PAGE = 2**30
# Kinds of Thrift fields.
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
MAX_DEPTH = 12
MAX_FOOTER = 64 * 2**20
MAGIC = b"PAR1"
TAIL = 8


class Chunk(NamedTuple):
    """The place of the pages of a column in a row group.

    Attributes
    ----------
    group
        Number of the row group.
    path
        Of the column, as the schema has it, with dots.
    start, end
        Bytes from the start of the file.
    """

    group: int
    path: str
    start: int
    end: int


@dataclass
class Pages:
    """The pages of a memory-mapped file."""

    data: mmap.mmap
    chunks: tuple[Chunk, ...]

    def largest(self, column: str, group: int | None = None) -> int:
        """Return the unpacked bytes of the largest page of a column, in one row group or in all.

        Raises
        ------
        ValueError
            A header is damaged, or a page unpacks to far more than it takes.
        """
        largest = 0
        for chunk in self.chunks:
            if group in (None, chunk.group) and f"{chunk.path}.".startswith(f"{column}."):
                for unpacked, packed in _pages(self.data, chunk):
                    if unpacked > min(max(EXEMPT, MAX_RATIO * packed), MAX_PAGE):
                        raise ValueError(
                            f"a page of column {chunk.path} unpacks from {packed:,} to "
                            f"{unpacked:,} bytes"
                        )
                    largest = max(largest, unpacked)
        return largest


@contextmanager
def pages_of(path: Path) -> Iterator[Pages]:
    """Yield the pages of a file, by its footer.

    Raises
    ------
    ValueError
        The footer is damaged, or columns lie outside of the file.
    """
    if path.stat().st_size < TAIL:
        raise ValueError("it is too short")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = len(data) - TAIL
        start = end - int.from_bytes(data[end : end + 4], "little")
        if data[-4:] != MAGIC or start < 0 or end - start > MAX_FOOTER:
            raise ValueError("its footer is not at its end, or larger than one of images is")
        try:
            chunks = tuple(_chunks(_Thrift(data, start, end).struct(0), len(data)))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("its footer is damaged") from error
        yield Pages(data, chunks)


def _chunks(footer: dict[int, Any], size: int) -> Iterator[Chunk]:
    for number, group in enumerate(footer.get(4, [])):
        for column in group[1]:
            if column.get(1):
                raise ValueError("a column lies in another file")
            facts = column[3]
            path = ".".join(part.decode("utf-8") for part in facts[3])
            start, first = facts[9], facts.get(11) or 0
            start = first if 0 < first < start else start
            if not 0 <= start <= start + facts[7] <= size:
                raise ValueError(f"column {path} lies outside of the file")
            yield Chunk(number, path, start, start + facts[7])


def _pages(data: mmap.mmap, chunk: Chunk) -> Iterator[tuple[int, int]]:
    """Yield the unpacked and packed size of each page, in bytes."""
    start = chunk.start
    while start < chunk.end:
        reader = _Thrift(data, start, chunk.end)
        found = reader.struct(0)
        unpacked, packed = found.get(2), found.get(3)
        if not (isinstance(unpacked, int) and isinstance(packed, int)) or min(unpacked, packed) < 0:
            raise ValueError("a page of no size")
        yield unpacked, packed
        start = reader.place + packed


@dataclass
class _Thrift:
    """A reader of Thrift's compact form; nothing is read beyond `end`."""

    data: mmap.mmap
    place: int
    end: int

    def struct(self, depth: int) -> dict[int, Any]:
        """Return the fields of a struct by their numbers."""
        fields: dict[int, Any] = {}
        field = 0
        while (head := self._byte()) & 0xF:
            field = field + (head >> 4) if head >> 4 else self._number()
            kind = head & 0xF
            # In a struct, the kind of a boolean field is its value.
            fields[field] = kind == TRUE if kind in (TRUE, FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError("a header that is nested too deep")
        if kind in (TRUE, FALSE, BYTE):
            return self._byte()
        if kind in (I16, I32, I64):
            return self._number()
        if kind == DOUBLE:
            return self._bytes(8)
        if kind == BINARY:
            return self._bytes(self._unsigned())
        if kind in (LIST, SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 0xF else self._unsigned()
            if count > self.end - self.place:
                raise ValueError("a list that is cut off")
            return [self._value(head & 0xF, depth + 1) for _ in range(count)]
        if kind == STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"a header with a field of kind {kind}")

    def _byte(self) -> int:
        if self.place >= self.end:
            raise ValueError("a header that is cut off")
        self.place += 1
        return self.data[self.place - 1]

    def _bytes(self, count: int) -> bytes:
        self.place += count
        if self.place > self.end:
            raise ValueError("a header that is cut off")
        return self.data[self.place - count : self.place]

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a header with an endless number")
        return value | byte << shift

    def _number(self) -> int:
        """Return a signed number, whose sign is its last bit."""
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
