"""The table of a fleet in a database, by its URL, or in a Parquet file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.files import write_atomically
from undoor.fleet.entry import read_json
from undoor.fleet.fleet import Fleet
from undoor.fleet.stored_models import (
    NESTED,
    NUMBERS,
    PARQUET,
    TEXTS,
    connected,
    imported,
    is_store,
    stored_models,
)
from undoor.vocabulary import SCAN_FILE


def require_store(where: str) -> None:
    """Refuse what names neither, or whose library is not installed, before any work.

    Raises
    ------
    UndoorError
        It is neither, a library is missing, or the database cannot be reached.
    """
    if not is_store(where):
        raise UndoorError(
            f"expected a file that ends in {PARQUET} or the URL of a database such as "
            f"sqlite:///fleet.db, got {where!r}"
        )
    if "://" in where:
        with connected(where):
            pass
    else:
        imported("pyarrow.parquet", "parquet")


def write_store(where: str, fleet: Fleet, folder: Path) -> None:
    """Write the table of a fleet; in a database, in the place of what was there of this fleet.

    Parameters
    ----------
    where
        The URL of a database, or a file that ends in .parquet.
    fleet
        The result.
    folder
        Its folder, by whose path a database tells fleets apart.

    Raises
    ------
    UndoorError
        A library is missing, or the database refuses.
    OSError
        The file cannot be written.
    """
    rows = [_row(fleet, number, folder) for number in range(len(fleet.entries))]
    if "://" not in where:
        _write_parquet(Path(where), rows)
        return
    with connected(where) as (connection, table):
        connection.execute(table.delete().where(table.c.fleet == str(folder.resolve())))
        if rows:
            connection.execute(table.insert(), rows)


def read_store(where: str) -> Fleet:
    """Return the fleet that was written; of several in one database, all their models.

    Raises
    ------
    UndoorError
        A library is missing, or there is no fleet.
    """
    found = stored_models(where)
    codes = {model.fleet_code for model in found}
    code = codes.pop() if len(codes) == 1 else None
    entries = tuple(model.entry for model in found)
    return Fleet(entries, found[0].command, code, found[0].undoor)


def _row(fleet: Fleet, number: int, folder: Path) -> dict[str, Any]:
    entry = fleet.entries[number]
    document = entry.to_json()
    scan = read_json(folder / (entry.folder or "") / SCAN_FILE) if entry.folder else None
    measured = scan if isinstance(scan, dict) and entry.state == "finished" else {}
    return {
        **document,
        **{name: json.dumps(document[name]) for name in NESTED},
        **{name: measured.get(name) for name in ("seconds", "passes", "date")},
        "position": number,
        "fleet": str(folder.resolve()),
        "fleet_code": fleet.exit_code,
        "command": fleet.verb,
        "undoor": fleet.undoor,
    }


def _write_parquet(file: Path, rows: list[dict[str, Any]]) -> None:
    pa, pq = imported("pyarrow", "parquet"), imported("pyarrow.parquet", "parquet")
    kinds = {int: pa.int64(), float: pa.float64()}
    columns = [(name, kinds[kind]) for name, kind in NUMBERS.items()]
    schema = pa.schema([*columns, *((name, pa.string()) for name in TEXTS)])
    table = pa.Table.from_pylist(rows, schema=schema)
    write_atomically(file, lambda path: pq.write_table(table, path))
