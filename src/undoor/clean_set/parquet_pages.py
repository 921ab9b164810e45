"""Pages of Parquet files, weighed before any is decompressed.

The page headers alone say what a page unpacks to, and a reader makes room for that; the file's
metadata may say otherwise. Headers are Thrift in its compact form.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Bytes of a page for each byte that it takes in the file; smaller pages are exempt.
MAX_RATIO = 200
EXEMPT = 16 * 2**20
MAX_PAGE = 2**30
# Kinds of Thrift fields.
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
UNPACKED, PACKED = 2, 3
MAX_DEPTH = 8


def largest_page(data: mmap.mmap, column: Any) -> int:
    """Bytes that the largest page of a column chunk unpacks to.

    Parameters
    ----------
    data : the whole file.
    column : pyarrow's metadata of the chunk.

    Raises
    ------
    ValueError : a header is damaged, or a page unpacks to far more than it takes.
    """
    start, first = column.data_page_offset, column.dictionary_page_offset
    if column.has_dictionary_page and first and 0 < first < start:
        start = first
    end = start + column.total_compressed_size
    if start < 0 or not start <= end <= len(data):
        raise ValueError(f"column {column.path_in_schema} lies outside of the file")
    largest = 0
    for unpacked, packed in _pages(data, start, end):
        if unpacked > min(max(EXEMPT, MAX_RATIO * packed), MAX_PAGE):
            raise ValueError(
                f"a page of column {column.path_in_schema} unpacks from {packed:,} to "
                f"{unpacked:,} bytes"
            )
        largest = max(largest, unpacked)
    return largest


def _pages(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Unpacked and packed size of each page."""
    while start < end:
        reader = _Thrift(data, start, end)
        found = reader.struct(0)
        unpacked, packed = found.get(UNPACKED, -1), found.get(PACKED, -1)
        if unpacked < 0 or packed < 0:
            raise ValueError("a page of no size")
        yield unpacked, packed
        start = reader.place + packed


@dataclass
class _Thrift:
    """What stands at a place; nothing is read beyond `end`."""

    data: mmap.mmap
    place: int
    end: int

    def struct(self, depth: int) -> dict[int, int]:
        """The numbers among the fields of a struct, which it passes."""
        if depth > MAX_DEPTH:
            raise ValueError("a page header that is nested too deep")
        numbers: dict[int, int] = {}
        field = 0
        while (head := self._byte()) & 0xF:
            field = field + (head >> 4) if head >> 4 else self._number()
            kind = head & 0xF
            if kind in (I16, I32, I64):
                numbers[field] = self._number()
            elif kind not in (TRUE, FALSE):
                self._skip(kind, depth)
        return numbers

    def _skip(self, kind: int, depth: int) -> None:
        if kind in (TRUE, FALSE, BYTE):
            self._byte()
        elif kind in (I16, I32, I64):
            self._number()
        elif kind == DOUBLE:
            self._pass(8)
        elif kind == BINARY:
            self._pass(self._unsigned())
        elif kind in (LIST, SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 0xF else self._unsigned()
            for _ in range(min(count, self.end)):
                self._skip(head & 0xF, depth + 1)
        elif kind == STRUCT:
            self.struct(depth + 1)
        else:
            raise ValueError(f"a page header with a field of kind {kind}")

    def _byte(self) -> int:
        if self.place >= self.end:
            raise ValueError("a page header that is cut off")
        self.place += 1
        return self.data[self.place - 1]

    def _pass(self, count: int) -> None:
        self.place += count
        if self.place > self.end:
            raise ValueError("a page header that is cut off")

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a page header with an endless number")
        return value | byte << shift

    def _number(self) -> int:
        """A signed number, whose sign is its last bit."""
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
