"""The models of fleets as a database or a Parquet file holds them; reading them needs no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undoor.database import database, has_file
from undoor.errors import UndoorError, first_line
from undoor.extras import Extra, how_to_install
from undoor.fleet.entry import FleetEntry
from undoor.fleet.job import Verb

if TYPE_CHECKING:
    from sqlalchemy import Engine

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


@dataclass(frozen=True)
class StoredModel:
    """One model of a fleet, as it was stored.

    Attributes
    ----------
    entry
        Its result.
    fleet
        The folder of the fleet, on the machine that examined it.
    date
        When it was examined (ISO 8601); None without a result.
    command, fleet_code, undoor
        Of the fleet: its command, its exit code, and the version that examined it.
    """

    entry: FleetEntry
    fleet: Path
    date: str | None
    command: Verb
    fleet_code: int | None
    undoor: str


def is_store(where: str) -> bool:
    """Return whether a text names a database or a Parquet file.

    >>> is_store("sqlite:///fleet.db"), is_store("fleet.parquet"), is_store("fleet/")
    (True, True, False)
    """
    return "://" in where or where.endswith(PARQUET)


def stored_models(where: str) -> list[StoredModel]:
    """Return the models of all fleets that are stored, in the order in which they were given.

    Parameters
    ----------
    where
        The URL of a database, or a file that ends in .parquet.

    Raises
    ------
    UndoorError
        A library is missing, or there is no fleet.
    """
    if Path(where).is_dir():
        raise UndoorError(
            f"{where} is a folder; expected what `undoor fleet --store` wrote: give its file that "
            f"ends in {PARQUET}, or the URL of its database"
        )
    if "://" in where:
        with connected(where, create=False) as (connection, table):
            query = table.select().order_by(table.c.fleet, table.c.position)
            is_there = connection.dialect.has_table(connection, TABLE)
            rows: list[Mapping[str, Any]] = (
                list(connection.execute(query).mappings()) if is_there else []
            )
    else:
        rows = _read_parquet(Path(where))
    if not rows:
        shown = _without_password(database(where)) if "://" in where else where
        raise UndoorError(f"{shown} holds no fleet; write one with --store")
    return [_stored(row) for row in rows]


def _stored(row: Mapping[str, Any]) -> StoredModel:
    names = FleetEntry.__dataclass_fields__
    plain = {name: row[name] for name in names}
    entry = FleetEntry.from_json(plain | {name: json.loads(row[name]) for name in NESTED})
    return StoredModel(
        entry,
        Path(row["fleet"]),
        row["date"],
        row["command"],
        row["fleet_code"],
        row["undoor"],
    )


def _read_parquet(file: Path) -> list[Mapping[str, Any]]:
    pa, pq = imported("pyarrow", "parquet"), imported("pyarrow.parquet", "parquet")
    try:
        rows: list[Mapping[str, Any]] = pq.read_table(file).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UndoorError(f"{file} cannot be read as Parquet ({error}); check the path") from error
    if rows and rows[0].keys() != {*NUMBERS, *TEXTS}:
        raise UndoorError(f"{file} holds no fleet; expected what --store wrote")
    return rows


def _without_password(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


@contextmanager
def connected(url: str, *, create: bool = True) -> Iterator[tuple[Any, Any]]:
    """Yield a connection within one transaction, and the table.

    Parameters
    ----------
    url
        Of the database.
    create
        Whether the table, and a file of SQLite, is made where it is missing.

    Raises
    ------
    UndoorError
        A library or, without `create`, the file is missing, or the database refuses; the message
        names no password.
    """
    engine = database(url)
    shown = _without_password(engine)
    if not create and not has_file(engine):
        raise UndoorError(
            f"{shown}: there is no such file; expected a database that --store "
            "wrote: check the path"
        )
    import sqlalchemy as sa

    columns = [
        *(sa.Column(n, sa.Integer if k is int else sa.Float) for n, k in NUMBERS.items()),
        *(sa.Column(name, sa.Text) for name in TEXTS),
    ]
    table = sa.Table(TABLE, sa.MetaData(), *columns)
    try:
        with engine.begin() as connection:
            if create:
                table.create(connection, checkfirst=True)
            yield connection, table
    except sa.exc.SQLAlchemyError as error:
        reason = first_line(getattr(error, "orig", None) or error)
        raise UndoorError(
            f"{shown}: the database refuses ({reason}); check the URL, and run it again"
        ) from error
    finally:
        engine.dispose()


def imported(name: str, extra: Extra) -> Any:
    """Return a library.

    Raises
    ------
    UndoorError
        It is missing.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        root = name.partition(".")[0]
        raise UndoorError(
            f"this needs a library that is not installed ({root}); {how_to_install(extra)}"
        ) from None
