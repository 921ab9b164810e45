"""The table of a fleet in a database, by its URL, or in a Parquet file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from undoor.database import database
from undoor.errors import UndoorError, first_line
from undoor.extras import Extra, how_to_install
from undoor.files import write_atomically
from undoor.fleet.entry import FleetEntry, read_json
from undoor.fleet.fleet import Fleet
from undoor.vocabulary import SCAN_FILE

TABLE = "undoor_fleet"
PARQUET = ".parquet"
# The columns, in order: those that are numbers, and the others, which are text.
NUMBERS = {"position": int, "exit_code": int, "seconds": float, "passes": int, "fleet_code": int}
TEXTS = (
    "fleet",
    "name",
    "model",
    "data",
    "state",
    "verdict",
    "targets",
    "reasons",
    "causes",
    "problem",
    "key",
    "model_sha256",
    "folder",
    "date",
    "command",
    "undoor",
)
# In a cell as JSON.
NESTED = ("targets", "reasons", "causes", "problem")


def is_store(where: str) -> bool:
    """Return whether a text names a database or a Parquet file.

    >>> is_store("sqlite:///fleet.db"), is_store("fleet.parquet"), is_store("fleet/")
    (True, True, False)
    """
    return "://" in where or where.endswith(PARQUET)


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
        with _connected(where):
            pass
    else:
        _imported("pyarrow.parquet", "parquet")


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
    with _connected(where) as (connection, table):
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
    if "://" in where:
        with _connected(where) as (connection, table):
            query = table.select().order_by(table.c.fleet, table.c.position)
            rows: list[Mapping[str, Any]] = list(connection.execute(query).mappings())
    else:
        rows = _read_parquet(Path(where))
    if not rows:
        raise UndoorError(f"{where} holds no fleet; write one with --store")
    codes = {row["fleet_code"] for row in rows}
    entries = tuple(_entry(row) for row in rows)
    code = codes.pop() if len(codes) == 1 else None
    return Fleet(entries, rows[0]["command"], code, rows[0]["undoor"])


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


def _entry(row: Mapping[str, Any]) -> FleetEntry:
    names = FleetEntry.__dataclass_fields__
    plain = {name: row[name] for name in names}
    return FleetEntry.from_json(plain | {name: json.loads(row[name]) for name in NESTED})


def _write_parquet(file: Path, rows: list[dict[str, Any]]) -> None:
    pa, pq = _imported("pyarrow", "parquet"), _imported("pyarrow.parquet", "parquet")
    kinds = {int: pa.int64(), float: pa.float64()}
    columns = [(name, kinds[kind]) for name, kind in NUMBERS.items()]
    schema = pa.schema([*columns, *((name, pa.string()) for name in TEXTS)])
    table = pa.Table.from_pylist(rows, schema=schema)
    write_atomically(file, lambda path: pq.write_table(table, path))


def _read_parquet(file: Path) -> list[Mapping[str, Any]]:
    pa, pq = _imported("pyarrow", "parquet"), _imported("pyarrow.parquet", "parquet")
    try:
        rows: list[Mapping[str, Any]] = pq.read_table(file).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UndoorError(f"{file} cannot be read as Parquet ({error}); check the path") from error
    if rows and rows[0].keys() != {*NUMBERS, *TEXTS}:
        raise UndoorError(f"{file} holds no fleet; expected what --store wrote")
    return rows


@contextmanager
def _connected(url: str) -> Iterator[tuple[Any, Any]]:
    """Yield a connection within one transaction, and the table, which is made where it is missing.

    Raises
    ------
    UndoorError
        A library is missing, or the database refuses; the message names no password.
    """
    engine = database(url)
    import sqlalchemy as sa

    columns = [
        *(sa.Column(n, sa.Integer if k is int else sa.Float) for n, k in NUMBERS.items()),
        *(sa.Column(name, sa.Text) for name in TEXTS),
    ]
    table = sa.Table(TABLE, sa.MetaData(), *columns)
    try:
        with engine.begin() as connection:
            table.create(connection, checkfirst=True)
            yield connection, table
    except sa.exc.SQLAlchemyError as error:
        shown = engine.url.render_as_string(hide_password=True)
        reason = first_line(getattr(error, "orig", None) or error)
        raise UndoorError(
            f"{shown}: the database refuses ({reason}); check the URL, and run it again"
        ) from error
    finally:
        engine.dispose()


def _imported(name: str, extra: Extra) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        root = name.partition(".")[0]
        raise UndoorError(
            f"this needs a library that is not installed ({root}); {how_to_install(extra)}"
        ) from None
