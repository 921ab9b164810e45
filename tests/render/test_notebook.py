"""Results as notebooks show them."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

import undoor
from helpers.tiny import clean_images, toy_classifier
from undoor.errors import UndoorError
from undoor.evaluate import Evaluation
from undoor.rate import Rate
from undoor.repair import Repair
from undoor.scan.report import ScanReport


def test_a_scan_shows_its_verdict_and_targets(toy_report: ScanReport) -> None:
    page = toy_report._repr_html_()
    assert "Backdoored" in page
    assert page.count("<tr>") == 1 + len(toy_report.findings)


def test_names_of_a_hostile_model_are_text(toy_report: ScanReport) -> None:
    names = tuple("<script>alert(1)</script>\x1b[2J" for _ in toy_report.class_names)
    page = replace(toy_report, class_names=names)._repr_html_()
    assert "<script" not in page
    assert "\x1b" not in page


def test_a_repair_shows_its_targets_and_its_hash(toy_repair: Repair) -> None:
    page = toy_repair._repr_html_()
    assert toy_repair.sha256() in page
    assert "Repair of 1 target<" in page


def test_an_evaluation_shows_both_sides() -> None:
    rate = Rate(0.5, 0.4, 0.6, 10)
    page = Evaluation(2, {"asr": rate}, {"asr": rate, "auroc": rate}, {"clean": 10})._repr_html_()
    assert page.count("50.0 % (40.0 to 60.0)") == 3


def test_a_scan_is_drawn(toy_report: ScanReport) -> None:
    figure = toy_report.plot()
    assert isinstance(figure, Figure)
    worked = [item for item in toy_report.evidence if item.size is not None]
    families = {item.family for item in worked if item.family != "shared patch"}
    assert len(figure.axes) == len(families)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    assert drawn.getvalue().startswith(b"\x89PNG")


def test_of_nothing_there_is_no_figure(toy_report: ScanReport, toy_repair: Repair) -> None:
    with pytest.raises(UndoorError, match="evidence"):
        replace(toy_report, evidence=()).plot()
    with pytest.raises(UndoorError, match="scan report"):
        toy_repair.plot()


def test_results_are_short_in_a_console(toy_report: ScanReport, toy_repair: Repair) -> None:
    for result in (toy_report, toy_repair, clean_images()):
        assert len(repr(result)) < 100
    assert "backdoored" in repr(toy_report)
    guarded = undoor.guard(toy_classifier(backdoored=True, norm=True), toy_repair)
    assert "targets" in repr(guarded)
