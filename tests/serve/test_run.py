"""What is refused before the address of a service is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from helpers.serving import FakeEngine
from undoor.errors import UndoorError
from undoor.serve.run import Address, LogStream, Worker, serve
from undoor.serve.settings import Settings


@pytest.mark.parametrize("wrong", ["tokens", "fleet", "database"])
def test_what_cannot_be_opened_is_refused_first(tmp_path: Path, wrong: str) -> None:
    nowhere = tmp_path / "no" / "where"
    settings = Settings(
        database=f"sqlite:///{nowhere if wrong == 'database' else tmp_path / 'flags.sqlite'}",
        tokens=nowhere if wrong == "tokens" else None,
        fleet=f"sqlite:///{nowhere}" if wrong == "fleet" else None,
    )
    told: list[tuple[str, int]] = []
    worker = Worker(FakeEngine, settings, LogStream(sys.stderr))
    with pytest.raises(UndoorError):
        serve(worker, Address("127.0.0.1", 0), 1, lambda *address: told.append(address))
    assert told == []
