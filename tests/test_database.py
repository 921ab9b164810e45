"""Databases by URL."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from undoor.database import database, has_file
from undoor.errors import UndoorError


def test_sqlite_and_postgresql() -> None:
    assert database("sqlite://").dialect.name == "sqlite"
    found = database("postgresql://me:secret@host/name")
    assert found.url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["", "x" * 3000, "no url", "magic://host", "sqlite:/\x00://"])
def test_what_is_none_is_refused(url: str) -> None:
    with pytest.raises(UndoorError, match="give sqlite:///FILE or postgresql://USER@HOST/NAME"):
        database(url)


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UndoorError, match="extra database"):
        database("postgresql://host/name")
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(UndoorError, match=r"sqlalchemy.*extra database"):
        database("sqlite://")


def test_a_missing_file_is_seen_without_making_it(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    assert not has_file(database(f"sqlite:///{file}"))
    assert not has_file(database("sqlite://"))
    assert not file.exists()
    file.touch()
    assert has_file(database(f"sqlite:///{file}"))
    assert has_file(database("postgresql://host/name"))
    assert has_file(database(f"sqlite:///file:{file}?mode=ro&uri=true"))
