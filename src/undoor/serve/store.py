"""What a service keeps in a database: counts, the state of its tests, flagged inputs.

All workers share it, so that shares and alarms are those of the whole service. SQLite by default;
PostgreSQL, or another database of SQLAlchemy, by URL.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from undoor.database import database, has_file
from undoor.errors import UndoorError, first_line
from undoor.serve.kept_input import KeptInput, kept_input
from undoor.serve.kept_rows import forget_oldest, insert, select_kept
from undoor.serve.sequential import ShareTest
from undoor.serve.tables import COUNTS, FLAGGED, METADATA, TESTS

log = logging.getLogger("undoor.serve")

MINUTE = 60
DAYS_OF_COUNTS = 7
MAX_REASON = 200


@dataclass(frozen=True)
class Tested:
    """The test of one target, and since when it raises the alarm (seconds since 1970)."""

    test: ShareTest = field(default_factory=ShareTest)
    alarm_since: float | None = None


class Store:
    """The database of a service.

    The file of SQLite may be deleted or replaced under a service, whose connections then write to
    what nobody finds. With `create`, each transaction looks for that: before it, the database at
    the path is opened anew; after it, the transaction is refused.

    Parameters
    ----------
    url
        As SQLAlchemy takes it, such as ``sqlite:///flags.sqlite``.
    create
        Whether the tables are made where they are missing.

    Raises
    ------
    UndoorError
        There is no such database, or its driver is missing; or, without `create`, no service has
        used it.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._engine = _opened(url)
        self._file: tuple[int, int] | None = None
        try:
            if create:
                self._make()
            else:
                _require_used(self._engine)
        except SQLAlchemyError as error:
            raise UndoorError(
                f"the database cannot be used ({first_line(error)[:MAX_REASON]}); check the URL, "
                "the permissions and the disk"
            ) from None

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def keep(self, inputs: Sequence[KeptInput], limit: int) -> list[int]:
        """Keep flagged inputs, of each repair the `limit` newest, and return their numbers.

        They are on disk when this returns.
        """
        with self._transaction() as connection:
            numbers = [insert(connection, item) for item in inputs]
            for repair in {item.repair_sha256 for item in inputs}:
                forget_oldest(connection, repair, limit)
        return numbers

    def kept(self, model_sha256: str, *, newest: int | None = None) -> list[KeptInput]:
        """Return the kept inputs of a model, the newest first, at most `newest`."""
        of_model = FLAGGED.c.model_sha256 == model_sha256
        with self._transaction() as connection:
            query = select_kept(connection).where(of_model).order_by(FLAGGED.c.id.desc())
            rows = connection.execute(query.limit(newest)).mappings().all()
        return [item for row in rows if (item := kept_input(dict(row))) is not None]

    def kept_one(self, number: int, model_sha256: str) -> KeptInput | None:
        """Return one kept input; None where it is not there, or no longer."""
        this = (FLAGGED.c.id == number) & (FLAGGED.c.model_sha256 == model_sha256)
        with self._transaction() as connection:
            row = connection.execute(select_kept(connection).where(this)).mappings().first()
        return None if row is None else kept_input(dict(row))

    def count(
        self,
        repair_sha256: str,
        counts: Mapping[int, tuple[int, int]],
        promised: Mapping[int, float],
        level: float,
    ) -> list[int]:
        """Add counts, judged and flagged by target, and return the targets of new alarms.

        `promised` and `level` are those of `ShareTest.after`, the level over all targets. Where two
        workers write the first row of a minute at once, one of them fails, and counts again.
        """
        now, raised = time.time(), []
        with self._transaction() as connection:
            for target in sorted(counts):
                judged, flagged = counts[target]
                _add(connection, repair_sha256, target, int(now // MINUTE), judged, flagged)
                before = _tested(connection, repair_sha256, target, locked=True)
                test = before.test.after(
                    judged, flagged, promised=promised[target], level=level / len(promised)
                )
                is_new = test.alarm and not before.test.alarm
                raised += [target] if is_new else []
                since = now if is_new else before.alarm_since
                _write(connection, repair_sha256, target, test, since)
            _forget_counts(connection, now)
        return raised

    def tests(self, repair_sha256: str, targets: Sequence[int]) -> dict[int, Tested]:
        """Return the test of each target."""
        with self._transaction() as connection:
            return {target: _tested(connection, repair_sha256, target) for target in targets}

    def acknowledge(self, repair_sha256: str, targets: Sequence[int]) -> list[int]:
        """End the alarms of these targets, begin their tests anew, and return which there were."""
        with self._transaction() as connection:
            ended = [
                target
                for target in sorted(targets)
                if _tested(connection, repair_sha256, target, locked=True).test.alarm
            ]
            for target in ended:
                _write(connection, repair_sha256, target, ShareTest(), None)
        return ended

    def by_minute(self, repair_sha256: str, minutes: int) -> list[tuple[int, int, int, int]]:
        """Return target, start (seconds since 1970), judged and flagged of the last minutes."""
        since = int(time.time() // MINUTE) - minutes
        columns = (COUNTS.c.target, COUNTS.c.minute, COUNTS.c.judged, COUNTS.c.flagged)
        query = (
            sql.select(*columns)
            .where(COUNTS.c.repair_sha256 == repair_sha256, COUNTS.c.minute > since)
            .order_by(COUNTS.c.minute, COUNTS.c.target)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [(row[0], row[1] * MINUTE, row[2], row[3]) for row in rows]

    def _make(self) -> None:
        with self._engine.begin() as connection:
            METADATA.create_all(connection)
        self._file = _identity(self._engine)

    @contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        """Begin a transaction in the database that is at the path, before and after."""
        if not self._is_same_file():
            log.error(
                "the file of the database was deleted or replaced; it is opened anew",
                extra={"file": self._engine.url.database},
            )
            self._engine.dispose()
            self._make()
        with self._engine.begin() as connection:
            yield connection
        if not self._is_same_file():
            raise SQLAlchemyError("the file of the database was deleted or replaced meanwhile")

    def _is_same_file(self) -> bool:
        return self._file is None or self._file == _identity(self._engine)


def _opened(url: str) -> sql.Engine:
    engine = database(url)
    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", _set_up_sqlite)
        sql.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _identity(engine: sql.Engine) -> tuple[int, int] | None:
    """Return device and inode of the file of SQLite; None where there is no file."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return None
    try:
        about = Path(engine.url.database).stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _require_used(engine: sql.Engine) -> None:
    if not has_file(engine) or not sql.inspect(engine).has_table(FLAGGED.name):
        raise UndoorError(
            f"{engine.url.render_as_string()}: expected the database of `undoor serve "
            "--keep-flagged N`, got one without its tables; give the URL of --database"
        )


def _set_up_sqlite(connection: Any, _: Any) -> None:
    # Transactions begin where SQLAlchemy begins them, not at the first change.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sql.Connection) -> None:
    # Two workers that both read and then write would have to begin again.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _add(
    connection: sql.Connection, repair: str, target: int, minute: int, judged: int, flagged: int
) -> None:
    changed = connection.execute(
        sql.update(COUNTS)
        .where(
            COUNTS.c.repair_sha256 == repair, COUNTS.c.target == target, COUNTS.c.minute == minute
        )
        .values(judged=COUNTS.c.judged + judged, flagged=COUNTS.c.flagged + flagged)
    ).rowcount
    if not changed:
        row = {"repair_sha256": repair, "target": target, "minute": minute}
        connection.execute(sql.insert(COUNTS).values(judged=judged, flagged=flagged, **row))


def _forget_counts(connection: sql.Connection, now: float) -> None:
    oldest = int(now // MINUTE) - DAYS_OF_COUNTS * 24 * 60
    connection.execute(sql.delete(COUNTS).where(COUNTS.c.minute < oldest))


def _tested(
    connection: sql.Connection, repair: str, target: int, *, locked: bool = False
) -> Tested:
    query = sql.select(TESTS.c.state, TESTS.c.alarm_since).where(
        TESTS.c.repair_sha256 == repair, TESTS.c.target == target
    )
    row = connection.execute(query.with_for_update() if locked else query).first()
    if row is None:
        return Tested()
    try:
        return Tested(ShareTest.from_json(json.loads(row[0])), row[1])
    except (KeyError, TypeError, ValueError):
        # Of another version of undoor: the counts are lost, the alarms to come are not.
        return Tested()


def _write(
    connection: sql.Connection, repair: str, target: int, test: ShareTest, since: float | None
) -> None:
    values = {"state": json.dumps(test.to_json()), "alarm_since": since}
    changed = connection.execute(
        sql.update(TESTS)
        .where(TESTS.c.repair_sha256 == repair, TESTS.c.target == target)
        .values(**values)
    ).rowcount
    if not changed:
        connection.execute(sql.insert(TESTS).values(repair_sha256=repair, target=target, **values))
