"""Rows of a table from CSV and Parquet files, as the columns of a model describe them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from undoor.clean_set.class_names import LEFT_OUT, Classes, Found, number
from undoor.clean_set.columns import LABEL_COLUMNS
from undoor.clean_set.dataset import CleanSet
from undoor.clean_set.labels import MAX_SAMPLES, require_samples
from undoor.clean_set.parquet import SUFFIXES, cells, opened
from undoor.clean_set.reading import Log, UnreadableError
from undoor.clean_set.source import choose_split
from undoor.errors import UndoorError, first_line
from undoor.files import other_spelling
from undoor.spaces.columns import Cell, Column, listed

CSV = ".csv"
KINDS = "a .csv or .parquet file"
SPLIT = "split"


@dataclass(frozen=True)
class Table:
    """The cells of a file.

    Attributes
    ----------
    source
        Its name in messages.
    names
        Of all columns of the file.
    cells
        By column, those that are needed, from top to bottom.
    """

    source: str
    names: tuple[str, ...]
    cells: Mapping[str, Sequence[Cell]]

    def shares(self, columns: Sequence[Column], row: int) -> list[float]:
        """Return one row as it is in raw inputs.

        Raises
        ------
        UnreadableError
            A cell is none of its column.
        """
        try:
            return [column.share(self.cells[column.name][row]) for column in columns]
        except UndoorError as error:
            raise UnreadableError(str(error), "does not fit") from None


def is_table(path: Path) -> bool:
    """Return whether a path is named as a file of rows is."""
    return path.suffix in (CSV, *SUFFIXES)


def read_rows(
    path: Path,
    columns: Sequence[Column],
    class_names: Sequence[str],
    *,
    split: str | None = None,
    classes: Classes | None = None,
) -> CleanSet:
    """Read labelled rows for a model of a table.

    Parameters
    ----------
    path
        A .csv file with a head, or a Parquet file.
    columns
        Of the model. The file has them by name, in any order.
    class_names
        Of the model. The label is in the column `label` or one of the other usual names, or else in
        the only column that the model does not take.
    split
        A value of the column `split`, where there is one.
    classes
        As of `undoor.clean_set.class_names.number`.

    Returns
    -------
    CleanSet
        Its images are rows [N, D] in [0, 1].

    Raises
    ------
    UndoorError
        There is no such file, it is none of rows, or lacks a column.
    """
    table = read_table(path, columns, labelled=True)
    label = label_column(table.names, columns, table.source)
    texts = [None if cell in (None, "") else label_text(cell) for cell in table.cells[label]]
    found = Found(sorted({text for text in texts if text is not None}), table.source)
    numbering = number(found, class_names, classes)
    log, rows, labels = Log(notes=list(numbering.notes)), [], []
    for row in rows_of_split(table, split):
        name, text = f"{table.source}[{row}]", texts[row]
        if text is None:
            log.lose(name, UnreadableError("no label", "no label"))
            continue
        if numbering.numbers[text] == LEFT_OUT:
            continue
        log.tried(text)
        try:
            rows.append(table.shares(columns, row))
        except UnreadableError as error:
            log.lose(name, error, text)
            continue
        labels.append(numbering.numbers[text])
    if not rows:
        reason = f" (the first: {log.skipped[0]})" if log.skipped else ""
        raise UndoorError(f"{table.source} holds no row that fits the model{reason}")
    return CleanSet(
        torch.tensor(rows), torch.tensor(labels), numbering.names, reading=log.reading()
    )


def read_unlabelled(path: Path, columns: Sequence[Column]) -> Tensor:
    """Return the rows [N, D] in [0, 1] of a file, with or without labels.

    Raises
    ------
    UndoorError
        There is no such file, it is none of rows, lacks a column, or a cell is none of its column.
    """
    table = read_table(path, columns, labelled=False)
    count = len(table.cells[columns[0].name])
    try:
        return torch.tensor([table.shares(columns, row) for row in range(count)])
    except UnreadableError as error:
        raise UndoorError(f"{path}: {error}") from None


def read_table(path: Path, columns: Sequence[Column], *, labelled: bool) -> Table:
    """Return the cells of the columns of a model, and with `labelled` of all others.

    Raises
    ------
    UndoorError
        There is no such file, it is none of rows, or lacks a column.
    """
    names = [column.name for column in columns]
    if not path.exists():
        raise UndoorError(f"{path} does not exist{other_spelling(path)}; expected {KINDS}")
    if not path.is_file() or not is_table(path):
        raise UndoorError(
            f"{path} is no table; the model takes rows of a table with the columns "
            f"{listed(names)}: give {KINDS}"
        )

    def wanted(present: Sequence[str]) -> list[str]:
        missing = [name for name in names if name not in present]
        if missing:
            raise UndoorError(
                f"{path} has no column {listed(missing)}; "
                f"its columns are: {listed(present) or 'none, since it is empty'}; "
                "name the columns as [input] of the model.toml does"
            )
        return [name for name in present if labelled or name in names]

    read = read_csv if path.suffix == CSV else read_parquet
    return read(path, wanted)


def _require_once(path: Path, head: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a head that has one of the names twice: it does not say which column is meant."""
    twice = next((name for name in names if head.count(name) > 1), None)
    if twice is not None:
        raise UndoorError(
            f"{path}: expected columns of different names, got {twice!r} twice; rename one of them"
        )


def read_csv(path: Path, wanted: Callable[[Sequence[str]], list[str]]) -> Table:
    """Return the cells of a CSV file with a head.

    Parameters
    ----------
    wanted
        Returns the columns to read, of those that there are.

    Raises
    ------
    UndoorError
        It is none, or its rows differ in length.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = csv.reader(stream, skipinitialspace=True)
            head = next(lines, [])
            names = wanted(head)
            _require_once(path, head, names)
            places = {name: head.index(name) for name in names}
            rows = [row for row in lines if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UndoorError(
            f"{path} is not a readable CSV file ({first_line(error)}); write it in UTF-8, with "
            "commas and a head"
        ) from error
    odd = next((number for number, row in enumerate(rows) if len(row) != len(head)), None)
    if odd is not None or len(rows) > MAX_SAMPLES:
        raise UndoorError(
            f"{path}: expected {len(head)} cells in each row, as in its head, and at most "
            f"{MAX_SAMPLES:,} rows, got {len(rows):,} rows"
            + ("" if odd is None else f" and {len(rows[odd])} cells in row {odd}")
        )
    by_name = {name: [row[at].strip() for row in rows] for name, at in places.items()}
    return Table(str(path), tuple(head), by_name)


def read_parquet(path: Path, wanted: Callable[[Sequence[str]], list[str]]) -> Table:
    """Return the cells of a Parquet file; `wanted` as of `read_csv`.

    Raises
    ------
    UndoorError
        It is none, or pyarrow is missing.
    """
    with opened(path) as file:
        present = list(file.schema_arrow.names)
        require_samples(file.metadata.num_rows, path.stat().st_size, path)
        by_name = {
            name: [cell.as_py() for cell in cells(file, path, name)] for name in wanted(present)
        }
    return Table(str(path), tuple(present), by_name)


def label_column(present: Sequence[str], columns: Sequence[Column], source: str) -> str:
    """Return the name of the column with the labels.

    Parameters
    ----------
    present
        All columns of the file.
    columns
        Those that the model takes.
    source
        The name of the file in messages.

    Raises
    ------
    UndoorError
        It cannot be known.
    """
    taken = {SPLIT, *(column.name for column in columns)}
    others = [name for name in present if name not in taken]
    usual = [name for name in LABEL_COLUMNS if name in others]
    if usual or len(others) == 1:
        return (usual or others)[0]
    raise UndoorError(
        f"{source}: expected a column {LABEL_COLUMNS[0]!r} with the class of each row, or one "
        f"column that the model does not take, got {listed(others) or 'none'}; rename it to "
        f"{LABEL_COLUMNS[0]!r}"
    )


def rows_of_split(table: Table, split: str | None) -> Iterator[int]:
    """Yield the numbers of the rows that are of a split; of all where there are none.

    Raises
    ------
    UndoorError
        There is no such split, or several and none is named.
    """
    values = [str(cell) for cell in table.cells.get(SPLIT, ())]
    if not values:
        if split is not None:
            raise UndoorError(f"{table.source} has no column {SPLIT!r}; leave --split out")
        count = len(next(iter(table.cells.values())))
        yield from range(count)
        return
    chosen = choose_split(sorted(set(values)), split, table.source)
    yield from (row for row, value in enumerate(values) if value == chosen)


def label_text(cell: Cell) -> str:
    """Return a label as the name of a class: 1.0 is class 1."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
