"""Databases by URL: of fleets, and of services."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from undoor.errors import UndoorError, first_line
from undoor.extras import how_to_install

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Who waits for another one that writes waits so long, in seconds.
BUSY_SECONDS = 10
MAX_URL = 2000


def database(url: str) -> Engine:
    """Return the engine of a database; nothing is connected yet.

    Parameters
    ----------
    url
        As SQLAlchemy takes it. ``postgresql://`` stands for ``postgresql+psycopg://``, whose driver
        the extra brings.

    Raises
    ------
    UndoorError
        It is no URL of a database, or a library is missing. The message names no password.
    """
    try:
        import sqlalchemy as sql
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        raise UndoorError(
            "a database takes a library that is not installed (sqlalchemy); "
            f"{how_to_install('database')}"
        ) from None
    expected = "sqlite:///FILE or postgresql://USER@HOST/NAME"
    if not url or len(url) > MAX_URL:
        raise UndoorError(f"expected the URL of a database, got none; give {expected}")
    try:
        parsed = sql.make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        is_sqlite = parsed.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if is_sqlite else {}
        return sql.create_engine(parsed, pool_pre_ping=not is_sqlite, **options)
    except ModuleNotFoundError as error:
        raise UndoorError(
            f"the database takes the library {error.name}, which is not installed; for PostgreSQL, "
            f"{how_to_install('database')}"
        ) from None
    except (SQLAlchemyError, ValueError) as error:
        first = first_line(error)
        raise UndoorError(
            f"expected the URL of a database, got another one ({first}); give {expected}"
        ) from None


def has_file(engine: Engine) -> bool:
    """Return whether a database can be there: of SQLite its file, which connecting would make."""
    if engine.dialect.name != "sqlite":
        return True
    file = engine.url.database or ""
    # What begins so is a URI of SQLite itself, which says by its `mode` whether a file is made.
    return file.startswith("file:") or (bool(file) and Path(file).is_file())
