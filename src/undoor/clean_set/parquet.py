"""Clean samples from a Parquet file with a column of encoded images and one of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from undoor.clean_set.images import UnreadableError
from undoor.clean_set.samples import Sample, gather
from undoor.clean_set.source import Source
from undoor.errors import UndoorError
from undoor.resizing import Resizing

IMAGE_COLUMNS = ("image", "img", "images")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target")


def read_parquet(
    path: Path,
    *,
    split: str | None,
    size: tuple[int, int] | Resizing | None,
    class_names: Sequence[str] | None,
) -> Source:
    """Images (bytes, or structs with `bytes`) and labels of one split.

    Raises
    ------
    UndoorError : pyarrow is missing, the file is damaged, or columns or splits do not fit.
    """
    columns = _read_columns(path)
    keep = _rows_of_split(columns, path, split)
    pairs = zip(columns[IMAGE_COLUMNS[0]], columns[LABEL_COLUMNS[0]], strict=True)
    cells = list(pairs)
    samples = (Sample(f"{path}[{row}]", cell_bytes(cells[row][0]), cells[row][1]) for row in keep)
    return gather(samples, str(path), size=size, class_names=class_names)


def import_arrow(what: str) -> Any:
    """pyarrow. what : could not be read without it.

    Raises
    ------
    UndoorError : it is not installed.
    """
    try:
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise UndoorError(
            f"reading {what} needs pyarrow; run: pip install 'undoor[parquet]'"
        ) from error
    return pyarrow


def column(wanted: Sequence[str], present: Sequence[str], source: Path) -> str:
    """The first of the wanted columns that there is.

    Raises
    ------
    UndoorError : there is none.
    """
    found = [name for name in wanted if name in present]
    if not found:
        raise UndoorError(
            f"{source} has no column {wanted[0]!r}; its columns are: {', '.join(present)}"
        )
    return found[0]


def cell_bytes(cell: object) -> bytes | UnreadableError:
    """The encoded image in a cell: bytes, or a struct with `bytes`."""
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return data if isinstance(data, bytes) else UnreadableError("no image bytes in this row")


def _read_columns(path: Path) -> dict[str, list[Any]]:
    pyarrow = import_arrow("Parquet files")
    try:
        file = pyarrow.parquet.ParquetFile(path)
        present = file.schema_arrow.names
        chosen = {"split": "split"} if "split" in present else {}
        for wanted in (IMAGE_COLUMNS, LABEL_COLUMNS):
            chosen[wanted[0]] = column(wanted, present, path)
        table = file.read(columns=list(chosen.values()))
        return {key: table.column(name).to_pylist() for key, name in chosen.items()}
    except (pyarrow.ArrowException, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UndoorError(
            f"{path} is not a readable Parquet file ({reason}); it may be truncated: copy it again"
        ) from error


def _rows_of_split(columns: dict[str, list[Any]], path: Path, split: str | None) -> list[int]:
    values = columns.get("split")
    if values is None:
        if split is not None:
            raise UndoorError(f"{path} has no column 'split'; leave --split out")
        return list(range(len(columns[IMAGE_COLUMNS[0]])))
    splits = sorted({str(value) for value in values})
    if split is None and len(splits) > 1:
        raise UndoorError(f"{path} holds the splits {', '.join(splits)}; choose with --split")
    if split is not None and split not in splits:
        raise UndoorError(f"{path} has no split {split!r}; its splits are: {', '.join(splits)}")
    return [row for row, value in enumerate(values) if split in (None, str(value))]
