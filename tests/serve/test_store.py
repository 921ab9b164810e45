"""The database: what was acknowledged is there, limits hold, alarms are shared."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.exc import SQLAlchemyError

from helpers.postgresql import postgresql
from helpers.serving import inputs
from undoor.errors import UndoorError
from undoor.serve.kept_input import KeptInput
from undoor.serve.store import Store

REPAIR, MODEL = "b" * 64, "a" * 64


def kept(number: float, *, model: str = MODEL, repair: str = REPAIR) -> KeptInput:
    return KeptInput(1e9 + number, model, repair, 1, 2, 3.5, "backdoor", inputs(number)[0])


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'flags.sqlite'}"
        return
    with postgresql(tmp_path) as server:
        yield server


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(Store(url)) as made:
        yield made


def test_the_newest_are_kept(url: str, store: Store) -> None:
    assert store.keep([kept(1), kept(2)], 3) == [1, 2]
    assert store.keep([kept(3), kept(4), kept(5)], 3) == [3, 4, 5]
    assert [item.number for item in store.kept(MODEL)] == [5, 4, 3]
    assert [item.number for item in store.kept(MODEL, newest=1)] == [5]
    # As another process finds them.
    with closing(Store(url, create=False)) as other:
        found = other.kept(MODEL)
    assert found[0].x.tolist() == inputs(5)[0].tolist()
    assert (found[0].target, found[0].label, found[0].score) == (1, 2, 3.5)


def test_models_and_repairs_are_apart(store: Store) -> None:
    store.keep([kept(1)], 1)
    store.keep([kept(2, repair="c" * 64)], 1)
    store.keep([kept(3, model="d" * 64, repair="e" * 64)], 1)
    assert [item.number for item in store.kept(MODEL)] == [2, 1]
    assert store.kept_one(3, MODEL) is None
    one = store.kept_one(1, MODEL)
    assert one is not None
    assert one.number == 1


def test_counts_alarms_and_acknowledgement(url: str, store: Store) -> None:
    promised = {1: 0.01, 3: 0.01}
    assert store.count(REPAIR, {1: (100, 1), 3: (5, 0)}, promised, 0.01) == []
    assert store.count(REPAIR, {1: (50, 50)}, promised, 0.01) == [1]
    # The same alarm is raised once.
    assert store.count(REPAIR, {1: (50, 50)}, promised, 0.01) == []
    with closing(Store(url)) as other:
        tests = other.tests(REPAIR, [1, 3])
    assert (tests[1].test.judged, tests[1].test.flagged, tests[1].test.alarm) == (200, 101, True)
    assert tests[1].alarm_since is not None
    assert not tests[3].test.alarm
    assert {(row[0], row[2], row[3]) for row in store.by_minute(REPAIR, 5)} >= {(3, 5, 0)}
    assert sum(row[2] for row in store.by_minute(REPAIR, 5)) == 205
    assert store.tests("c" * 64, [1])[1].test.judged == 0

    assert store.acknowledge(REPAIR, [1, 3]) == [1]
    assert store.tests(REPAIR, [1])[1].test.judged == 0
    assert store.tests(REPAIR, [1])[1].alarm_since is None
    assert store.acknowledge(REPAIR, [1, 3]) == []
    assert store.count(REPAIR, {1: (50, 50)}, promised, 0.01) == [1]


def test_many_workers_lose_no_count(url: str, store: Store) -> None:
    store.count(REPAIR, {1: (1, 0)}, {1: 0.5}, 0.01)

    def work(_: int) -> None:
        with closing(Store(url)) as own:
            for _ in range(10):
                while True:
                    try:
                        own.count(REPAIR, {1: (2, 1)}, {1: 0.9}, 0.01)
                        break
                    except SQLAlchemyError:
                        continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    test = store.tests(REPAIR, [1])[1].test
    assert (test.judged, test.flagged) == (81, 40)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "the URL of a database"),
        ("flags.sqlite", "the URL of a database"),
        ("nosuch://x", "the URL of a database"),
        ("sqlite:////nowhere/at/all/flags.sqlite", "cannot be used"),
        ("postgresql://nobody@127.0.0.1:1/x", "cannot be used"),
    ],
)
def test_refused(url: str, told: str) -> None:
    with pytest.raises(UndoorError, match=told):
        Store(url)


def test_no_file_is_made_where_one_is_read(tmp_path: Path) -> None:
    file = tmp_path / "nowhere.sqlite"
    with pytest.raises(UndoorError, match="undoor serve --keep-flagged"):
        Store(f"sqlite:///{file}", create=False)
    assert not file.exists()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path / 'f.sqlite'}")) as made:
        yield made


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("shape", "[1, 4, 5]"),
        ("shape", "[-1, -4, -4]"),
        ("shape", "no JSON"),
        ("shape", "[]"),
        ("shape", '["1", 4, 4]'),
        ("input", b"\0" * 60),
    ],
)
def test_rows_that_others_changed_are_left_out(
    tmp_path: Path, sqlite_store: Store, column: str, value: str | bytes
) -> None:
    sqlite_store.keep([kept(1), kept(2)], 9)
    with closing(sqlite3.connect(tmp_path / "f.sqlite")) as database, database:
        database.execute(f"UPDATE undoor_flagged SET {column} = ? WHERE id = 1", (value,))
    assert [item.number for item in sqlite_store.kept(MODEL)] == [2]
    assert sqlite_store.kept_one(1, MODEL) is None


def test_a_damaged_state_begins_anew(tmp_path: Path, sqlite_store: Store) -> None:
    store = sqlite_store
    store.count(REPAIR, {1: (9, 9)}, {1: 0.01}, 0.01)
    with closing(sqlite3.connect(tmp_path / "f.sqlite")) as database, database:
        database.execute("UPDATE undoor_tests SET state = '{}'")
    assert store.tests(REPAIR, [1])[1].test.judged == 0
    assert store.count(REPAIR, {1: (9, 9)}, {1: 0.01}, 0.01) == [1]


def test_kept_inputs_are_float32() -> None:
    assert np.frombuffer(kept(2).columns()["input"], "<f4")[0] == 2


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_deleted_or_replaced(tmp_path: Path, replaced: bool) -> None:
    """What is acknowledged after that is in the file that is at the path."""
    file = tmp_path / "flags.sqlite"
    with closing(Store(f"sqlite:///{file}")) as store:
        store.keep([kept(1)], 3)
        if replaced:
            (tmp_path / "empty").touch()
            (tmp_path / "empty").replace(file)
        else:
            file.unlink()
        store.keep([kept(2)], 3)
        store.count(REPAIR, {1: (5, 1)}, {1: 0.5}, 0.01)
        assert [item.x.flat[0] for item in store.kept(MODEL)] == [2]
        with closing(Store(f"sqlite:///{file}", create=False)) as other:
            assert [item.x.flat[0] for item in other.kept(MODEL)] == [2]
            assert other.tests(REPAIR, [1])[1].test.judged == 5


def test_a_file_that_is_deleted_within_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "flags.sqlite"
    with closing(Store(f"sqlite:///{file}")) as store:
        with monkeypatch.context() as patch:
            patch.setattr("undoor.serve.store.forget_oldest", lambda *_: file.unlink())
            with pytest.raises(SQLAlchemyError, match="deleted or replaced"):
                store.keep([kept(1)], 3)
        assert store.keep([kept(2)], 3) == [1]


def test_a_file_that_cannot_be_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with closing(Store(f"sqlite:///{folder / 'flags.sqlite'}")) as store:
        folder.rename(tmp_path / "elsewhere")
        for _ in range(2):
            with pytest.raises(SQLAlchemyError):
                store.keep([kept(1)], 3)
        (tmp_path / "elsewhere").rename(folder)
        assert store.keep([kept(2)], 3) == [1]
