"""The result of a fleet as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from undoor.errors import UndoorError
from undoor.fleet.entry import FleetEntry, Problem
from undoor.fleet.fleet import Fleet

ENTRY = FleetEntry("a", "a.pt", "d", "failed", 4, problem=Problem("broken", "mend it"))


def test_it_is_read_as_written(tmp_path: Path) -> None:
    fleet = Fleet.of([ENTRY], "repair", 4)
    fleet.save(tmp_path)
    assert Fleet.load(tmp_path) == fleet
    assert fleet.counts["failed"] == 1


@pytest.mark.parametrize(
    "change",
    [{"schema": "undoor/fleet/0"}, {"models": [{}]}, {"models": 3}, {"models": [{"name": "a"}]}],
)
def test_damaged_files(tmp_path: Path, change: dict[str, object]) -> None:
    file = Fleet.of([ENTRY], "scan", 4).save(tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UndoorError):
        Fleet.load(tmp_path)


def test_a_message_without_advice_gets_some() -> None:
    entry = FleetEntry("a", "a.pt", "d").failed("it broke", 4)
    assert entry.problem == Problem("it broke", "run the same command again")
    entry = FleetEntry("a", "a.pt", "d").failed("it broke; mend it", 4)
    assert entry.problem == Problem("it broke", "mend it")
