"""Clean samples from a data set that Hugging Face `datasets` wrote with `save_to_disk`.

Its Arrow files are read with pyarrow alone: no code of the folder or of a hub can run, nothing is
fetched, and `datasets` with its thirty dependencies is not needed.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from undoor.clean_set.columns import (
    LABEL_COLUMNS,
    columns_of,
    declared_names,
    image_of,
    labels_of,
    pyarrow_for,
)
from undoor.clean_set.index import Index, Label, Raw
from undoor.clean_set.labels import require_samples
from undoor.clean_set.messages import is_compressed
from undoor.clean_set.source import choose_split
from undoor.clean_set.texts import read_text
from undoor.errors import UndoorError, first_line

STATE = "state.json"
SPLITS = "dataset_dict.json"


def is_saved_dataset(folder: Path) -> bool:
    """Return whether `save_to_disk` wrote this folder, a Dataset or a DatasetDict."""
    return (folder / SPLITS).is_file() or (folder / STATE).is_file()


def index_saved(folder: Path, split: str | None) -> Index:
    """Return the rows of one split, without decoding any image.

    Parameters
    ----------
    folder
        As `save_to_disk` wrote it.
    split
        The split to read; None where there is only one.

    Raises
    ------
    UndoorError
        Pyarrow is missing, a file is damaged or missing, or the split is not there.
    """
    files = _files(_of_split(folder, split))
    labels: list[Label] = []
    counts: list[int] = []
    declared: set[tuple[str, ...] | None] = set()
    for path in files:
        with _batches(path) as reader:
            columns = columns_of(reader.schema, str(path))
            declared.add(columns.declared)
            before = len(labels)
            for batch in reader:
                labels += labels_of(_column(batch, columns.label))
            counts.append(len(labels) - before)
        require_samples(counts[-1], path.stat().st_size, path)
    if len(declared) > 1:
        raise UndoorError(f"the files of {folder} declare different class names; save it again")
    starts = [0, *accumulate(counts)]

    def name(row: int) -> str:
        file = bisect.bisect_right(starts, row) - 1
        return f"{files[file]}[{row - starts[file]}]"

    def read(rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        for number, path in enumerate(files):
            low, high = (bisect.bisect_left(rows, start) for start in starts[number : number + 2])
            inside = rows[low:high]
            if inside:
                yield from _images(path, starts[number], inside)

    return Index(str(folder), labels, name, read, declared.pop())


def saved_columns(
    folder: Path, split: str | None, wanted: Callable[[Sequence[str]], list[str]]
) -> tuple[tuple[str, ...], dict[str, list[Any]], tuple[str, ...] | None]:
    """Return all cells of some columns of one split, where they are no images.

    Parameters
    ----------
    folder, split
        As of `index_saved`.
    wanted
        Returns the columns to read, of those that there are.

    Returns
    -------
    tuple
        The names of all columns, the cells by column, and the declared names of the classes.

    Raises
    ------
    UndoorError
        As of `index_saved`.
    """
    out: dict[str, list[Any]] = {}
    names: tuple[str, ...] = ()
    declared: tuple[str, ...] | None = None
    for path in _files(_of_split(folder, split)):
        with _batches(path) as reader:
            names = tuple(reader.schema.names)
            chosen = wanted(names)
            label = next((name for name in LABEL_COLUMNS if name in chosen), None)
            declared = None if label is None else declared_names(reader.schema, label)
            for batch in reader:
                for name in chosen:
                    out.setdefault(name, []).extend(_column(batch, name).to_pylist())
        require_samples(max(map(len, out.values()), default=0), path.stat().st_size, path)
    return names, out, declared


def _images(path: Path, start: int, rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
    with _batches(path) as reader:
        column = columns_of(reader.schema, str(path)).image
        for batch in reader:
            low, high = (bisect.bisect_left(rows, at) for at in (start, start + len(batch)))
            inside = rows[low:high]
            if inside:
                cells = _column(batch, column)
                for row in inside:
                    yield row, image_of(cells[row - start])
            start += len(batch)


def _column(batch: Any, name: str) -> Any:
    """Return a column whose offsets are checked, since the file may be untrusted."""
    column = batch.column(name)
    column.validate(full=True)
    return column


@contextmanager
def _batches(path: Path) -> Iterator[Any]:
    """Yield the batches of a file; mapped, so that only what is looked at is read."""
    with (
        pyarrow_for(path, "Arrow", "data sets saved with save_to_disk") as pyarrow,
        pyarrow.memory_map(str(path)) as source,
        pyarrow.ipc.open_stream(_uncompressed(source, pyarrow)) as reader,
    ):
        yield reader


def _uncompressed(source: Any, pyarrow: Any) -> Any:
    """Return the stream from its beginning, if none of its parts is compressed.

    `datasets` compresses none, and such a part may unpack to anything.
    """
    for message in pyarrow.ipc.MessageReader.open_stream(source):
        if is_compressed(memoryview(message.metadata)):
            raise ValueError("its parts are compressed; save_to_disk writes them as they are")
    source.seek(0)
    return source


def _of_split(folder: Path, split: str | None) -> Path:
    if not (folder / SPLITS).is_file():
        if split is not None:
            raise UndoorError(f"{folder} holds one data set without splits; leave --split out")
        return folder
    splits = _json(folder / SPLITS).get("splits")
    if not isinstance(splits, list) or not all(map(_is_plain, splits)) or not splits:
        raise UndoorError(f"{folder / SPLITS} names no splits; write it with save_to_disk")
    return folder / choose_split(splits, split, folder)


def _files(folder: Path) -> list[Path]:
    state = _json(folder / STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise UndoorError(
            f"{folder} is a selection of rows as old versions of datasets wrote it; load it and "
            "call save_to_disk again"
        )
    listed = state.get("_data_files")
    entries = listed if isinstance(listed, list) else []
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries]
    if not names or not all(map(_is_plain, names)):
        raise UndoorError(f"{folder / STATE} names no files in its own folder; save it again")
    return [folder / str(name) for name in names]


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_text(file))
    except (OSError, ValueError, RecursionError) as error:
        raise UndoorError(
            f"{file} cannot be read ({first_line(error)}); expected a folder that datasets wrote "
            "with save_to_disk"
        ) from error
    if not isinstance(value, dict):
        raise UndoorError(f"{file} holds no JSON object; write it with save_to_disk")
    return value


def _is_plain(name: object) -> bool:
    """Return whether this names a file in the same folder, and leads nowhere else."""
    return isinstance(name, str) and Path(name).name == name and name not in ("", "..")
