"""A budget of a repair: no half-fitted one, and what was done is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import undoor
from helpers.tiny import clean_images, toy_classifier
from undoor.align.forecast import passes_of_repair
from undoor.align.plans import candidate_plans
from undoor.errors import BudgetEnded, UndoorError
from undoor.journal import Journal
from undoor.scan import Budget
from undoor.scan.report import ScanReport
from undoor.sites import find_sites


def test_a_larger_budget_goes_on_to_the_same_repair(tmp_path: Path, toy_report: ScanReport) -> None:
    """Ended in the scrutiny, in an estimate, and in the cross-validation."""
    model, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    journal = Journal(tmp_path)
    plans = len(candidate_plans(find_sites(model)))
    foreseen = passes_of_repair(model, clean, toy_report, plans=plans, quick=False)
    kept = []
    for share in (0.001, 0.3, 0.7):
        budget = Budget(passes=round(share * foreseen))
        with pytest.raises(BudgetEnded, match=r"give a larger one, as budget=undoor.Budget"):
            undoor.repair(model, clean, toy_report, budget=budget, journal=journal)
        kept.append(journal.steps)
    assert kept == sorted(kept)
    assert kept[-1] > 0
    made = undoor.repair(model, clean, toy_report, journal=journal, budget=Budget(passes=10**7))
    whole = undoor.repair(model, clean, toy_report)
    assert made.sha256() == whole.sha256()


def test_a_repair_resumes_after_the_same_scan_at_another_time(
    tmp_path: Path, toy_report: ScanReport
) -> None:
    """`undoor repair` without --scan scans again, with a larger budget, and finds the same."""
    model, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    journal = Journal(tmp_path)
    undoor.repair(model, clean, toy_report, quick=True, journal=journal)
    steps = journal.steps
    later = replace(
        toy_report,
        date="2031-01-31T12:00:00Z",
        seconds=9.0,
        circumstances=replace(toy_report.circumstances, max_passes=10**6),
    )
    undoor.repair(model, clean, later, quick=True, journal=journal)
    assert journal.steps == steps > 0


def test_seconds_end_a_repair_and_an_adaptation(toy_report: ScanReport) -> None:
    model, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    with pytest.raises(BudgetEnded):
        undoor.repair(model, clean, toy_report, max_seconds=1e-6)
    with pytest.raises(UndoorError, match="max_seconds above 0"):
        undoor.repair(model, clean, toy_report, max_seconds=0)
    made = undoor.repair(model, clean, toy_report, quick=True)
    with pytest.raises(BudgetEnded):
        undoor.adapt(model, clean, made, clean.images, max_seconds=1e-6)
    with pytest.raises(BudgetEnded):
        undoor.adapt(model, clean, made, clean.images, budget=Budget(passes=3))
