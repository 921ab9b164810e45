"""To what a search is limited, and what the report then says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.tiny import CLASSES, TARGET, clean_images, toy_classifier
from undoor.clean_set import labelled_by_model
from undoor.errors import UndoorError
from undoor.render.coverage import reasons
from undoor.scan.limits import goals_of
from undoor.scan.report import ScanReport
from undoor.scan.run import scan
from undoor.vocabulary import LABELS_BY_MODEL, PARTIAL, SOME_TARGETS


def test_all_targets_are_no_limit() -> None:
    classifier = toy_classifier(backdoored=False)
    assert goals_of(classifier, None) is None
    assert goals_of(classifier, range(CLASSES)) is None


def test_some_targets_are_named_and_never_clean() -> None:
    clean = clean_images(20)
    report = scan(toy_classifier(backdoored=False), clean, targets=[1], accept_coverage=PARTIAL)
    (gap,) = (gap for gap in report.coverage.gaps if gap.code == SOME_TARGETS)
    assert gap.found == (1, CLASSES - 1)
    assert report.verdict == "inconclusive"
    assert report.circumstances.targets == (1,)
    assert any("towards 1 of 6 classes alone, as asked" in each for each in reasons(report))
    data = report.to_json()
    assert data["circumstances"]["targets"] == [1]
    again = ScanReport.from_json(data, ())
    assert again.circumstances == report.circumstances
    assert again.coverage.gaps == report.coverage.gaps


def test_a_backdoor_is_found_among_the_targets_that_are_asked_for() -> None:
    report = scan(toy_classifier(backdoored=True), clean_images(20), targets=[TARGET])
    assert [finding.target for finding in report.findings] == [TARGET]


def test_a_target_must_be_a_class() -> None:
    with pytest.raises(UndoorError, match="expected targets from 0 to 5"):
        scan(toy_classifier(backdoored=True), clean_images(4), targets=[CLASSES])


def test_labels_by_the_model_are_said_so() -> None:
    classifier = toy_classifier(backdoored=False)
    clean = clean_images(20)
    labelled = labelled_by_model(clean.images, classifier)
    report = scan(classifier, labelled)
    assert LABELS_BY_MODEL in {gap.code for gap in report.coverage.gaps}
    assert report.verdict == "inconclusive"
    assert any("no labels but the model's own predictions" in each for each in reasons(report))
    same = scan(classifier, replace(labelled, by_model=False))
    assert LABELS_BY_MODEL not in {gap.code for gap in same.coverage.gaps}
    assert same.evidence == report.evidence
