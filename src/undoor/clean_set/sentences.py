"""Labelled texts from CSV, Parquet, JSON lines and data sets on disk, as a model's token ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from undoor.clean_set.arrow import is_saved_dataset, saved_columns
from undoor.clean_set.class_names import LEFT_OUT, Classes, Found, number
from undoor.clean_set.columns import LABEL_COLUMNS, declared_names
from undoor.clean_set.dataset import CleanSet
from undoor.clean_set.labels import MAX_SAMPLES
from undoor.clean_set.parquet import SUFFIXES, opened, parquet_files
from undoor.clean_set.reading import Log, UnreadableError
from undoor.clean_set.rows import (
    CSV,
    SPLIT,
    Table,
    label_text,
    read_csv,
    read_parquet,
    rows_of_split,
)
from undoor.errors import UndoorError, first_line
from undoor.files import other_spelling
from undoor.spaces.columns import Cell, listed
from undoor.spaces.tokenizer import Tokenizer

TEXT_COLUMNS = ("text", "sentence", "content", "review", "title")
# A file with one text on each line, without labels.
LINES = ".txt"
JSON_LINES = (".jsonl", ".ndjson", ".json")
KINDS = "a .csv, .parquet or .jsonl file, or a folder of save_to_disk"
# Characters of one text; a longer one is no sentence, and is cut anyway.
MAX_TEXT = 1_000_000


def is_texts(path: Path) -> bool:
    """Return whether a path is named as a file of several texts is."""
    return path.suffix in (CSV, *SUFFIXES, *JSON_LINES)


def read_labelled_texts(
    path: Path,
    tokenizer: Tokenizer,
    class_names: Sequence[str],
    *,
    split: str | None = None,
    classes: Classes | None = None,
) -> CleanSet:
    """Read labelled texts for a text model.

    Parameters
    ----------
    path
        A .csv file with a head, a Parquet file or a folder of them, JSON lines, or a folder that
        `datasets` wrote with `save_to_disk`.
    tokenizer
        Of the model.
    class_names
        Of the model. The label is in the column `label` or one of the other usual names, the text
        in the column `text` or one of the other usual names.
    split
        A value of the column `split`, or a part of a data set on disk.
    classes
        As of `undoor.clean_set.class_names.number`.

    Returns
    -------
    CleanSet
        Its images are token ids [N, T].

    Raises
    ------
    UndoorError
        There is no such file, it is none of texts, or lacks a column.
    """
    table, declared, split = _read(path, split)
    text = _column(table, TEXT_COLUMNS, "the text")
    label = _column(table, LABEL_COLUMNS, "the class of each text")
    names = [_label(cell, declared) for cell in table.cells[label]]
    found = Found(sorted({name for name in names if name is not None}), table.source, declared)
    numbering = number(found, class_names, classes)
    log, texts, labels = Log(notes=list(numbering.notes)), [], []
    for row in rows_of_split(table, split):
        place, name = f"{table.source}[{row}]", names[row]
        if name is None:
            log.lose(place, UnreadableError("no label", "no label"))
            continue
        if numbering.numbers[name] == LEFT_OUT:
            continue
        log.tried(name)
        cell = table.cells[text][row]
        if not isinstance(cell, str) or not cell.strip() or len(cell) > MAX_TEXT:
            log.lose(place, UnreadableError("no text", "no text"), name)
            continue
        texts.append(cell)
        labels.append(numbering.numbers[name])
    if not texts:
        reason = f" (the first: {log.skipped[0]})" if log.skipped else ""
        raise UndoorError(f"{table.source} holds no text that fits the model{reason}")
    return CleanSet(
        tokenizer.ids(texts), torch.tensor(labels), numbering.names, reading=log.reading()
    )


def read_unlabelled_texts(path: Path, tokenizer: Tokenizer) -> Tensor:
    """Return the texts of a file as token ids [N, T]; a .txt file holds one text on each line.

    Raises
    ------
    UndoorError
        There is no such file, or it is none of texts.
    """
    if path.suffix == LINES:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UndoorError(
                f"{path} is no readable text ({first_line(error)}); write it in UTF-8"
            ) from error
        return tokenizer.ids([line for line in lines if line.strip()])
    table, _, _ = _read(path, None)
    cells = table.cells[_column(table, TEXT_COLUMNS, "the text")]
    return tokenizer.ids(["" if cell is None else str(cell) for cell in cells])


def _read(path: Path, split: str | None) -> tuple[Table, tuple[str, ...] | None, str | None]:
    """Return the cells of a source, the class names that it declares, and the split to choose."""
    if not path.exists():
        raise UndoorError(f"{path} does not exist{other_spelling(path)}; expected {KINDS}")
    if path.is_dir() and is_saved_dataset(path):
        names, columns, declared = saved_columns(path, split, _wanted)
        return Table(str(path), names, columns), declared, None
    if path.is_dir():
        files = parquet_files(path, split)
        if len(files) != 1:
            raise UndoorError(
                f"{path} is no data set of texts, and holds {len(files)} Parquet files, expected "
                f"one; give {KINDS}"
            )
        return _read(files[0], None)
    if path.suffix in JSON_LINES:
        return _read_lines(path), None, split
    if path.suffix == CSV:
        return read_csv(path, _wanted), None, split
    if path.suffix in SUFFIXES:
        with opened(path) as file:
            schema = file.schema_arrow
            label = next((name for name in LABEL_COLUMNS if name in schema.names), None)
            declared = None if label is None else declared_names(schema, label)
        return read_parquet(path, _wanted), declared, split
    raise UndoorError(
        f"{path} holds no texts with their classes, which the model takes; give {KINDS}"
    )


def _wanted(present: Sequence[str]) -> list[str]:
    """Return the columns that may hold the text, the label or the split."""
    usual = {*TEXT_COLUMNS, *LABEL_COLUMNS, SPLIT}
    return [name for name in present if name in usual]


def _read_lines(path: Path) -> Table:
    """Return the cells of a file with one JSON object on each line."""
    rows: list[Mapping[str, Any]] = []
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for line in stream:
                if line.strip():
                    rows.append(_object(json.loads(line)))
                if len(rows) > MAX_SAMPLES:
                    raise ValueError(f"more than {MAX_SAMPLES:,} lines")
    except (OSError, ValueError, RecursionError) as error:
        raise UndoorError(
            f"{path} holds no JSON lines ({first_line(error)}); write one object with text and "
            "label on each line"
        ) from error
    names = dict.fromkeys(name for row in rows for name in row)
    columns = _wanted(list(names))
    return Table(
        str(path), tuple(names), {name: [row.get(name) for row in rows] for name in columns}
    )


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} on a line")
    return value


def _column(table: Table, usual: Sequence[str], what: str) -> str:
    found = [name for name in usual if name in table.cells]
    if not found:
        raise UndoorError(
            f"{table.source}: expected a column {usual[0]!r} with {what}, got "
            f"{listed(list(table.names)) or 'none'}; rename it to {usual[0]!r}"
        )
    return found[0]


def _label(cell: Cell, declared: tuple[str, ...] | None) -> str | None:
    """Return a label as the name of a class; None where there is none."""
    if cell in (None, ""):
        return None
    if declared and isinstance(cell, int) and 0 <= cell < len(declared):
        return declared[cell]
    return label_text(cell)
