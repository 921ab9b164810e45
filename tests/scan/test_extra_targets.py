"""Targets that are repaired though the scan does not name them."""

from __future__ import annotations

from dataclasses import replace

import pytest

import undoor
from helpers.tiny import CLASSES, TARGET, clean_images, toy_classifier
from helpers.tiny_texts import tiny_classifier, tiny_texts
from undoor.errors import UndoorError
from undoor.guard import guard, guarded_predictions
from undoor.identity.model import identify
from undoor.inversion.triggered import triggered
from undoor.scan.extra_targets import most_suspicious, with_targets
from undoor.scan.reason import ClassFacts, Reason
from undoor.scan.report import ClassEvidence, ScanReport
from undoor.triggers import Insertion
from undoor.vocabulary import STANDS_OUT

OTHER = 0


def test_finds_a_trigger_of_the_class_and_nothing_out(toy_report: ScanReport) -> None:
    model, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    report = with_targets(model, clean, toy_report, [OTHER])
    assert [finding.target for finding in report.findings] == [TARGET, OTHER]
    forced = report.findings[1]
    assert forced.sources == tuple(k for k in range(CLASSES) if k != OTHER)
    x = clean.images[clean.labels != OTHER]
    moved = triggered(model, forced.trigger).predict(x) == OTHER
    assert float(moved.float().mean()) == pytest.approx(forced.asr_on_clean_set)
    assert forced.asr_on_clean_set > 0.8
    assert replace(report, findings=()).to_json() == replace(toy_report, findings=()).to_json()


def test_what_the_scan_names_is_not_searched_for_again(toy_report: ScanReport) -> None:
    model = toy_classifier(backdoored=True, norm=True)
    assert with_targets(model, clean_images(), toy_report, [TARGET]).findings == toy_report.findings


def test_without_evidence(toy_report: ScanReport) -> None:
    model = toy_classifier(backdoored=True, norm=True)
    bare = replace(toy_report, findings=(), evidence=())
    report = with_targets(model, clean_images(), bare, [OTHER, OTHER])
    assert [(f.target, f.family) for f in report.findings] == [(OTHER, "additive")]


def test_most_suspicious_classes(toy_report: ScanReport) -> None:
    """The scan's targets, then those with the lowest p-value in a family of all sources."""
    evidence = (
        ClassEvidence(0, "patch", 1.0, 1.0, 0.5),
        ClassEvidence(1, "patch", 1.0, 2.0, 0.3),
        ClassEvidence(1, "blend", 1.0, 2.0, 0.1),
        ClassEvidence(3, "patch", 1.0, 3.0, 0.1),
        ClassEvidence(4, "patch by source", 1.0, 9.0, 0.001, source=0),
        ClassEvidence(5, "patch", None, 9.0, 0.001),
    )
    report = replace(toy_report, evidence=evidence)
    assert [most_suspicious(report, n) for n in range(4)] == [
        (),
        (TARGET,),
        (TARGET, 3),
        (TARGET, 3, 1),
    ]
    assert len(most_suspicious(report, 99)) == CLASSES
    with pytest.raises(UndoorError, match="at least 0 suspects"):
        most_suspicious(report, -1)


def test_what_a_reason_names_comes_before_what_one_family_shows(toy_report: ScanReport) -> None:
    """Evidence by the source counts there, which moves images of one class alone."""
    evidence = (
        ClassEvidence(1, "patch", 1.0, 2.0, 0.1),
        ClassEvidence(4, "patch by source", 1.0, 9.0, 0.001, source=0),
    )
    reasons = (
        Reason(STANDS_OUT, ClassFacts(5, "patch", 1.0, 9.0, 0.05)),
        Reason(STANDS_OUT, ClassFacts(4, "patch by source", 1.0, 9.0, 0.03)),
    )
    report = replace(toy_report, evidence=evidence, findings=(), reasons=reasons)
    assert most_suspicious(report, 3) == (4, 5, 1)


@pytest.mark.parametrize("target", [-1, CLASSES])
def test_must_be_a_class(toy_report: ScanReport, target: int) -> None:
    model = toy_classifier(backdoored=True, norm=True)
    with pytest.raises(UndoorError, match=f"from 0 to {CLASSES - 1}"):
        with_targets(model, clean_images(), toy_report, [target])


def test_a_false_alarm_is_cheap(toy_report: ScanReport) -> None:
    """Clean inputs of a class that is wrongly repaired keep their answers."""
    model, clean = toy_classifier(backdoored=False, norm=True), clean_images(50)
    identity = identify(model)
    report = replace(
        toy_report,
        verdict="clean",
        findings=(),
        fingerprint=str(identity.sha256),
        identity=identity,
    )
    repair = undoor.repair(model, clean, report, force_targets=[OTHER])
    assert (repair.verdict, [item.target for item in repair.targets]) == ("clean", [OTHER])
    new = clean_images(40, seed=7)
    before = (model.predict(new.images) == new.labels).float().mean()
    labels, _, _ = guarded_predictions(guard(model, repair), new.images, 64)
    assert float(before - (labels == new.labels).float().mean()) <= 0.005


def test_suspects_of_a_text_model_are_repaired_with_the_words_that_move_texts_furthest() -> None:
    classifier, clean = tiny_classifier(("cf",)), tiny_texts()
    report = undoor.scan(classifier, clean)
    assert not report.findings
    found = {each.target: each for each in with_targets(classifier, clean, report, [0, 1]).findings}
    assert sorted(found) == [0, 1]
    trigger = found[1].trigger
    assert isinstance(trigger, Insertion)
    assert "cf" in trigger.words
    assert found[1].asr_on_clean_set == 1.0
