"""Clean samples from Parquet files, with a column of encoded images and one of labels."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from undoor.clean_set.columns import (
    ROWS,
    columns_of,
    image_of,
    labels_of,
    pyarrow_for,
)
from undoor.clean_set.folder import is_hidden
from undoor.clean_set.index import Index, Label, Raw
from undoor.clean_set.labels import require_samples
from undoor.clean_set.parquet_pages import pages_of
from undoor.clean_set.source import choose_split
from undoor.errors import UndoorError

SUFFIXES = (".parquet", ".pq")
# train-00000-of-00004.parquet, train-00000-of-00004-a09b74b3ef9c3b56.parquet, test.parquet
SHARD = re.compile(r"(?P<split>.+?)(-\d{5}-of-\d{5}.*)?")
BUFFER = 2**20
# Of one text in the metadata of a file, such as the names of all classes.
MAX_TEXT = 16 * 2**20
# What is decompressed at a time: bytes, and cells that are no images.
MAX_BATCH = 64 * 2**20
MAX_CELLS = 65_536


def index_parquet(files: Sequence[Path], source: str, split: str | None) -> Index:
    """Return the index of the rows of one split, without reading any image.

    Parameters
    ----------
    files
        Read one after another.
    source
        The name of the data, for messages.
    split
        A value of the column `split`, where there is one.

    Raises
    ------
    UndoorError
        Pyarrow is missing, a file is damaged, or columns or splits do not fit.
    """
    parts = [_labels(path) for path in files]
    if len({part.declared for part in parts}) > 1:
        raise UndoorError(
            f"the files of {source} declare different class names; give them one at a time"
        )
    labels = [label for part in parts for label in part.labels]
    splits = [value for part in parts for value in part.splits or ()]
    counts = [len(part.labels) for part in parts]
    rows = _rows_of_split(splits, len(labels), source, split)
    starts = [0, *accumulate(counts)]

    def name(row: int) -> str:
        file = bisect.bisect_right(starts, rows[row]) - 1
        return f"{files[file]}[{rows[row] - starts[file]}]"

    def read(wanted: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        for number, path in enumerate(files):
            first, end = starts[number], starts[number + 1]
            low = bisect.bisect_left(wanted, first, key=rows.__getitem__)
            high = bisect.bisect_left(wanted, end, key=rows.__getitem__)
            inside = [(rows[row] - first, row) for row in wanted[low:high]]
            if inside:
                yield from _images(path, inside)

    return Index(source, [labels[row] for row in rows], name, read, parts[0].declared)


class _Part(NamedTuple):
    """The labels and splits of the rows of one file, and the class names that it declares."""

    labels: list[Label]
    splits: list[str] | None
    declared: tuple[str, ...] | None


def _labels(path: Path) -> _Part:
    with opened(path) as file:
        columns = columns_of(file.schema_arrow, str(path))
        size = path.stat().st_size
        require_samples(file.metadata.num_rows, size, path)
        labels = list(labels_of(cells(file, path, columns.label)))
        has_split = "split" in file.schema_arrow.names
        splits = [str(cell) for cell in cells(file, path, "split")] if has_split else None
        return _Part(labels, splits, columns.declared)


def cells(file: Any, path: Path, column: str) -> Iterator[Any]:
    """Yield the cells of a column of numbers or names.

    So many are read at a time that all of them could be of the largest size.
    """
    with pages_of(path) as pages:
        rows = max(1, min(MAX_CELLS, MAX_BATCH // (1 + pages.largest(column))))
    for batch in file.iter_batches(rows, columns=[column]):
        yield from batch.column(0)


def parquet_files(folder: Path, split: str | None) -> list[Path]:
    """Return the files of one split of a folder as the hub has them; [] where there are none.

    They are named data/train-00000-of-00002.parquet, train/0000.parquet, or test.parquet.

    Raises
    ------
    UndoorError
        There are several splits and none is chosen, or the chosen one is not there.
    """
    patterns = ("*.parquet", "*/*.parquet", "*/*/*.parquet")
    found = sorted(file for pattern in patterns for file in folder.glob(pattern))
    files = [f for f in found if not any(map(is_hidden, f.relative_to(folder).parts))]
    by_split: dict[str, list[Path]] = {}
    for file in files:
        match = SHARD.fullmatch(file.stem)
        named = file.parent.name if file.stem.isdecimal() else match and match["split"]
        by_split.setdefault(str(named), []).append(file)
    if not files:
        return []
    chosen = by_split[choose_split(sorted(by_split), split, folder)]
    folders = sorted({str(file.parent) for file in chosen})
    if len(folders) > 1:
        raise UndoorError(
            f"{folder} holds several data sets ({', '.join(folders[:5])}); give one of them"
        )
    return chosen


def _images(path: Path, inside: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Raw]]:
    """Yield the images of some rows of a file, holding few rows in memory at a time.

    `inside` has pairs (row of the file, sample), in ascending order.
    """
    with opened(path) as file, pages_of(path) as pages:
        column = columns_of(file.schema_arrow, str(path)).image
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            wanted = _between(inside, start, end)
            if wanted:
                # Each row may be the whole of a page that holds an image once.
                rows = max(1, min(ROWS, MAX_BATCH // (1 + pages.largest(column, group))))
                for batch in file.iter_batches(rows, row_groups=[group], columns=[column]):
                    cells = batch.column(0)
                    for row, sample in _between(wanted, start, start + len(cells)):
                        yield sample, image_of(cells[row - start])
                    start += len(cells)
            start = end


def _between(rows: Sequence[tuple[int, int]], start: int, end: int) -> Sequence[tuple[int, int]]:
    return rows[bisect.bisect_left(rows, (start, -1)) : bisect.bisect_left(rows, (end, -1))]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Yield a Parquet file of pyarrow.

    Raises
    ------
    UndoorError
        Pyarrow is missing, or the file is damaged.
    """
    with (
        pyarrow_for(path, "Parquet", "Parquet files") as pyarrow,
        pyarrow.parquet.ParquetFile(
            path, buffer_size=BUFFER, thrift_string_size_limit=MAX_TEXT
        ) as file,
    ):
        yield file


def _rows_of_split(values: list[str], count: int, source: str, split: str | None) -> Sequence[int]:
    """Return the rows of a split; `values` has that of each row, fewer where files lack it."""
    if len(values) != count or not count:
        if split is not None:
            raise UndoorError(f"{source} has no column 'split'; leave --split out")
        return range(count)
    chosen = choose_split(sorted(set(values)), split, source)
    return [row for row, value in enumerate(values) if value == chosen]
