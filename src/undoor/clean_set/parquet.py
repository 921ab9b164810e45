"""Clean samples from a Parquet file with a column of encoded images and one of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from undoor.clean_set.images import Bytes, UnreadableError, decode, stack
from undoor.clean_set.source import Source, channels_first, class_numbers, number_names
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
    images: list[Bytes] = []
    labels: list[Any] = []
    skipped: list[str] = []
    image_column, label_column = columns[IMAGE_COLUMNS[0]], columns[LABEL_COLUMNS[0]]
    for row in keep:
        name = f"{path}[{row}]"
        try:
            if label_column[row] is None:
                raise UnreadableError("no label")
            images.append(decode(_encoded(image_column[row]), name, size))
            labels.append(label_column[row])
        except UnreadableError as error:
            skipped.append(f"{name}: {error}")
    if not images:
        reason = f" (the first: {skipped[0]})" if skipped else ""
        raise UndoorError(f"{path} holds no readable image{reason}; expected PNG, JPEG or WebP")
    numbers, names = _label_numbers(labels, class_names, path)
    pixels = channels_first(stack(images, str(path)), str(path))
    return Source(pixels, class_numbers(numbers, len(images), str(path)), names, tuple(skipped))


def _read_columns(path: Path) -> dict[str, list[Any]]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UndoorError(
            "reading Parquet files needs pyarrow; run: pip install 'undoor[parquet]'"
        ) from error
    try:
        file = pyarrow.parquet.ParquetFile(path)
        present = file.schema_arrow.names
        chosen = {"split": "split"} if "split" in present else {}
        for wanted in (IMAGE_COLUMNS, LABEL_COLUMNS):
            found = [name for name in wanted if name in present]
            if not found:
                raise UndoorError(
                    f"{path} has no column {wanted[0]!r}; its columns are: {', '.join(present)}"
                )
            chosen[wanted[0]] = found[0]
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


def _encoded(cell: object) -> bytes:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes):
        raise UnreadableError("no image bytes in this row")
    return data


def _label_numbers(
    labels: list[Any], class_names: Sequence[str] | None, path: Path
) -> tuple[Any, tuple[str, ...] | None]:
    if not all(isinstance(label, str) for label in labels):
        return np.array(labels), None
    numbers, names = number_names(sorted(set(labels)), class_names, str(path))
    return np.array([numbers[label] for label in labels]), names
