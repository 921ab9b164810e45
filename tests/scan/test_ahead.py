"""Several processes search one model: the scan finds their results, and reports what one would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.tiny import clean_images, toy_classifier
from undoor.errors import BudgetEnded
from undoor.inversion import journalled_search
from undoor.inversion.invert import invert
from undoor.journal import Journal
from undoor.scan.ahead import search_ahead
from undoor.scan.report import ScanReport
from undoor.scan.run import scan

# More classes than are all followed.
MANY = 13


def plain(report: ScanReport) -> dict[str, Any]:
    return report.to_json() | {"seconds": 0, "date": None}


@pytest.mark.parametrize("classes", [5, MANY])
def test_the_report_of_one_process(
    tmp_path: Path, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = toy_classifier(backdoored=True, norm=True, classes=classes)
    clean = clean_images(6, classes=classes)
    alone = Journal(tmp_path / "alone")
    expected = scan(model, clean, journal=alone)
    journal, names = Journal(tmp_path / "spread"), list[str]()
    for turn in (0, 1):

        def claim(name: str, turn: int = turn) -> bool:
            if turn == 0:
                names.append(name)
            return names.index(name) % 2 == turn

        search_ahead(model, clean, journal=journal, claim=claim)
    assert len(names) >= 8
    found = {file.name for file in journal.folder.iterdir()}
    # What only looks at results that are there is left to the scan.
    assert len({file.name for file in alone.folder.iterdir()} - found) <= 2
    assert found <= {file.name for file in alone.folder.iterdir()}
    # Nothing that was searched is searched again.
    searched: list[str] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        searched.append(options["family"])
        return invert(*arguments, **options)

    monkeypatch.setattr(journalled_search, "invert", counted)
    assert plain(scan(model, clean, journal=journal)) == plain(expected)
    assert len(searched) <= 2


def test_nothing_is_searched_that_is_not_claimed(tmp_path: Path) -> None:
    model, clean = toy_classifier(backdoored=True, norm=True), clean_images(6)
    journal = Journal(tmp_path)
    search_ahead(model, clean, journal=journal, claim=lambda _: False)
    assert journal.empty


def test_a_helper_that_ends_early_leaves_the_rest_to_the_scan(tmp_path: Path) -> None:
    model = toy_classifier(backdoored=True, norm=True, classes=5)
    clean = clean_images(6, classes=5)
    journal, left = Journal(tmp_path), iter([True, True])

    def claim(_: str) -> bool:
        if next(left, None) is None:
            raise BudgetEnded(0, 0)
        return True

    with pytest.raises(BudgetEnded):
        search_ahead(model, clean, journal=journal, claim=claim)
    assert journal.steps
    assert plain(scan(model, clean, journal=journal)) == plain(scan(model, clean))


def test_a_model_that_cannot_be_judged_is_not_searched(tmp_path: Path) -> None:
    model, clean = toy_classifier(backdoored=True), clean_images(6)
    clean.labels[:] = clean.labels.flip(0)
    names: list[str] = []
    journal = Journal(tmp_path)

    def claim(name: str) -> bool:
        names.append(name)
        return True

    search_ahead(model, clean, journal=journal, claim=claim)
    assert names == []
    assert journal.empty
