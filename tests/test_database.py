"""Databases by URL."""

from __future__ import annotations

import sys

import pytest

from undoor.database import database
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
