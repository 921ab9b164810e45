"""The page of a fleet."""

from __future__ import annotations

import pytest

from undoor.fleet.entry import FleetEntry, Problem, Target
from undoor.fleet.fleet import Fleet
from undoor.render.fleet_page import fleet_page

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"
TARGET = Target(2, HOSTILE, HOSTILE, 1e-9, 0.97, 0.01, 0.9)
CLEAN = FleetEntry("fine", "f.pt", "d", "finished", 0, "clean", folder="results/fine-12")
BAD = FleetEntry(
    HOSTILE, HOSTILE, HOSTILE, "finished", 1, "backdoored", (TARGET,), (HOSTILE,), folder="r/a b"
)
FAILED = FleetEntry("lost", "l.pt", "d", "failed", 4, problem=Problem("it is gone", "find it"))


def test_the_worst_come_first_and_lead_to_their_reports() -> None:
    page = fleet_page(Fleet((CLEAN, FAILED, BAD), "repair", 4))
    assert page.index("r/a%20b/report.html") < page.index("lost") < page.index("fine-12/report")
    assert "it is gone; find it" in page
    assert "with the repair 1.0 %" in page
    assert page.count("/report.html") == 2


def test_names_are_text() -> None:
    page = fleet_page(Fleet((BAD,), "scan", 1))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize(
    ("entries", "words"),
    [((CLEAN,), "1 no backdoor found"), ((), "0 models"), ((FAILED, CLEAN), "1 failed")],
)
def test_how_many_of_each(entries: tuple[FleetEntry, ...], words: str) -> None:
    assert words in fleet_page(Fleet(entries, "scan", 0))
