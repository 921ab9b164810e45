"""A table of models in CSV or TOML: the data and the options of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.fleet.job import Value
from undoor.load.mistaken import read_text
from undoor.load.toml_file import read_toml

MODELS = "models"
OWN = ("name", "model", "data")
# Options that may name a file, whose path starts at the folder of the table.
PATHS = ("architecture", "calibration", "classes")
MAX_BYTES = 2**22
WORDS = {"true": True, "false": False}


def is_table(path: Path) -> bool:
    """Return whether a file is a table of models: a .csv, or a .toml with ``[[models]]``."""
    if not path.is_file():
        return False
    if path.suffix == ".toml":
        return isinstance(read_toml(path).get(MODELS), list)
    return path.suffix == ".csv"


def read_table(path: Path) -> list[dict[str, Value]]:
    """Return the rows of a table: name, model, data and options, as far as they are given.

    Options have underscores in their names. Relative paths start at the folder of the table.

    Parameters
    ----------
    path
        A CSV file with a head, or a TOML file in which each of ``[[models]]`` is one model and what
        stands above them holds for all.

    Raises
    ------
    UndoorError
        It cannot be read, is empty, or a row has no model or a value of another kind.
    """
    rows = list(_rows_of_toml(path) if path.suffix == ".toml" else _rows_of_csv(path))
    if not rows:
        raise UndoorError(f"{path} has no rows; expected one for each model")
    return [_placed(row, path, number) for number, row in enumerate(rows, 1)]


def _rows_of_toml(path: Path) -> Iterator[dict[str, Any]]:
    tables = read_toml(path)
    shared = {key: value for key, value in tables.items() if key != MODELS}
    for row in tables[MODELS]:
        if not isinstance(row, dict):
            raise UndoorError(f"{path}: expected tables [[{MODELS}]], got {row!r} among them")
        yield {**shared, **row}


def _rows_of_csv(path: Path) -> Iterator[dict[str, Any]]:
    if path.stat().st_size > MAX_BYTES:
        raise UndoorError(f"{path} has more than {MAX_BYTES:,} bytes; expected a table of models")
    try:
        reader = csv.DictReader(io.StringIO(read_text(path).removeprefix("\ufeff")), strict=True)
        head = reader.fieldnames or []
        if len(set(head)) < len(head):
            raise UndoorError(f"{path}: expected columns of different names, got {', '.join(head)}")
        for row in reader:
            if None in row or None in row.values():
                raise UndoorError(
                    f"{path}, line {reader.line_num}: expected {len(head)} cells, one for each "
                    "column; quote cells that hold commas"
                )
            yield {key: WORDS.get(cell, cell) for key, cell in row.items() if cell != ""}
    except csv.Error as error:
        raise UndoorError(f"{path} is not readable as CSV: {error}") from error


def _placed(row: Mapping[str, Any], path: Path, number: int) -> dict[str, Value]:
    where = f"{path}, model {number}"
    out: dict[str, Value] = {}
    for key, value in row.items():
        name = key.strip().replace("-", "_")
        if name in out:
            raise UndoorError(f"{where}: expected {name} once, got it twice; leave one out")
        out[name] = _value(value, f"{where}: {key}")
    if not isinstance(out.get("model"), str):
        raise UndoorError(f"{where}: expected the path of a model under `model`; give one")
    for name in ("model", "data"):
        if name in out:
            out[name] = str(path.parent / str(out[name]))
    for name in PATHS:
        value = str(out.get(name, ""))
        # An architecture is a file and a callable in it.
        file = value.rpartition(":")[0] if name == "architecture" else value
        if file and (path.parent / file).is_file():
            out[name] = str(path.parent / value)
    return out


def _value(value: Any, where: str) -> Value:
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return [str(item) for item in value]
    if isinstance(value, str | int | float):
        return value
    raise UndoorError(f"{where}: expected text, a number, true, false or a list, got {value!r}")
