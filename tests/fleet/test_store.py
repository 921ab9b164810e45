"""The table of a fleet in databases and Parquet files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine

from helpers.postgresql import postgresql
from undoor.errors import UndoorError
from undoor.fleet.entry import FleetEntry, Problem, Target
from undoor.fleet.fleet import Fleet
from undoor.fleet.store import read_store, require_store, write_store
from undoor.fleet.stored_models import stored_models

TARGET = Target(2, "naïve \x07 ; DROP TABLE", "patch", 1e-9, 0.97, 0.01, None)
ENTRIES = (
    FleetEntry("a", "a.pt", "d", "finished", 1, "backdoored", (TARGET,), ("why",), ("budget",)),
    FleetEntry("b", "b.pt", "d", "failed", 4, problem=Problem("it is broken", "mend it")),
    FleetEntry("c", "c.pt", "d"),
)
FLEET = Fleet(ENTRIES, "scan", 4, "0.1.0")


@pytest.fixture(params=["sqlite", "postgresql", "parquet"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgresql":
        with postgresql(tmp_path) as server:
            yield server
        return
    yield f"{tmp_path}/x.parquet" if request.param == "parquet" else f"sqlite:///{tmp_path}/x.db"


def test_what_is_read_is_what_was_written(where: str, tmp_path: Path) -> None:
    require_store(where)
    for fleet in (replace(FLEET, entries=ENTRIES[:1]), FLEET):
        write_store(where, fleet, tmp_path)
        assert read_store(where) == fleet


def test_several_fleets_in_one_database(where: str, tmp_path: Path) -> None:
    if where.endswith(".parquet"):
        pytest.skip("a file holds one fleet")
    write_store(where, FLEET, tmp_path / "one")
    write_store(where, replace(FLEET, entries=ENTRIES[:1], exit_code=1), tmp_path / "two")
    found = read_store(where)
    assert found.entries == (*ENTRIES, ENTRIES[0])
    assert found.exit_code is None
    write_store(where, replace(FLEET, entries=()), tmp_path / "one")
    assert read_store(where).entries == ENTRIES[:1]


def test_nothing_there(where: str, tmp_path: Path) -> None:
    with pytest.raises(UndoorError):
        read_store(where)
    (tmp_path / "x.db").write_bytes(b"no database at all" * 100)
    (tmp_path / "x.parquet").write_bytes(b"no table")
    with pytest.raises(UndoorError):
        read_store(where)


def test_reading_writes_nothing(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/none.db"
    with pytest.raises(UndoorError, match="there is no such file"):
        read_store(where)
    assert not [*tmp_path.iterdir()]
    create_engine(where).connect().close()
    with pytest.raises(UndoorError, match="holds no fleet"):
        read_store(where)
    assert not (tmp_path / "none.db").stat().st_size


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"is a folder; .*give its file that ends in \.parquet"):
        stored_models(str(tmp_path))


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UndoorError) as refused:
        require_store("postgresql+psycopg://me:secret@127.0.0.1:1/db?connect_timeout=1")
    assert "secret" not in str(refused.value)
    assert "me:***@127.0.0.1" in str(refused.value)

    @contextmanager
    def empty(_: str, *, create: bool) -> Iterator[tuple[Connection, Table]]:
        with create_engine("sqlite://").begin() as connection:
            assert not create
            columns = (Column("fleet", Text), Column("position", Integer))
            table = Table("undoor_fleet", MetaData(), *columns)
            table.create(connection)
            yield connection, table

    monkeypatch.setattr("undoor.fleet.stored_models.connected", empty)
    with pytest.raises(UndoorError, match=r"me:\*\*\*@127.0.0.1/db holds no fleet"):
        read_store("postgresql+psycopg://me:secret@127.0.0.1/db")


@pytest.mark.parametrize(("place", "library", "extra"), [
    ("sqlite:///x.db", "sqlalchemy", "database"), ("x.parquet", "pyarrow.parquet", "parquet"),
])  # fmt: skip
def test_a_missing_library_is_named(
    place: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UndoorError, match=f"extra {extra}"):
        require_store(place)
