"""A calibration that is learned from scans of clean models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import undoor
from helpers.family_names import BY_SOURCE
from helpers.observations import NATURAL, clean_model, drawn, model
from helpers.tiny import clean_images, toy_classifier
from undoor.calibrate import MIN_MODELS, Observation, calibrate, fitted
from undoor.calibrate.reports import read_report
from undoor.errors import UndoorError
from undoor.families.calibration import Calibration, calibration_for
from undoor.scan.report import ScanReport
from undoor.scan.statistics import p_values


@pytest.fixture(scope="module")
def report() -> ScanReport:
    return undoor.scan(toy_classifier(backdoored=False), clean_images())


def like(report: ScanReport, count: int = MIN_MODELS) -> dict[str, ScanReport]:
    """Reports of models whose natural triggers differ as chance has it."""
    out = {}
    for seed in range(count):
        generator = np.random.default_rng(seed)
        evidence = tuple(
            replace(
                item,
                size=item.size and item.size * float(generator.uniform(0.8, 1.25)),
                margin=item.margin and item.margin + float(generator.normal(0, 0.1)),
            )
            for item in report.evidence
        )
        out[f"model {seed}"] = replace(report, evidence=evidence, fingerprint=str(seed))
    return out


def test_models_of_a_kind_of_their_own(report: ScanReport) -> None:
    """What undoor was not calibrated on has no verdict by undoor's own calibration, and one by that
    of its like: clean as the others, or backdoored."""
    assert report.verdict == "inconclusive"
    learned = calibrate(like(report))
    assert learned.scope.network == report.coverage.network
    assert learned.scope.covers_size(report.coverage.shape)
    assert learned.lowest.models == MIN_MODELS
    usual = calibration_for(10)
    for family, null in learned.nulls.items():
        assert null.weight == usual.nulls[family].weight
    clean, planted = (
        undoor.scan(toy_classifier(backdoored=bad), clean_images(), calibration=learned)
        for bad in (False, True)
    )
    assert clean.verdict == "clean"
    assert planted.verdict == "backdoored"
    assert clean.circumstances.calibration_sha256 == learned.sha256
    assert report.circumstances.calibration_sha256 == usual.sha256


def test_a_family_in_which_nothing_works_has_the_usual_null() -> None:
    """Or no model in which it is searched would be called clean."""
    none = [clean_model(name=str(i), by_source=(None,) * 6, shared=None) for i in range(12)]
    usual = calibration_for(10)
    learned, _ = fitted(none, usual=usual)
    assert learned.nulls[BY_SOURCE] == usual.nulls[BY_SOURCE]
    assert learned.nulls["patch"] != usual.nulls["patch"]


def test_power_is_that_on_models_with_a_backdoor() -> None:
    """Of two, one is found; without any it is not known."""
    clean = [drawn(seed) for seed in range(30)]
    assert fitted(clean)[0].power is None
    planted, hidden = (
        model(name=str(size), sizes=(8.0, 9.0, size, 9.0, 8.0, 9.5)) for size in (0.001, 8.5)
    )
    assert fitted([*clean, planted, hidden])[0].power == (1, 2)


def test_that_of_others_is_not_borrowed() -> None:
    """Undoor's natural sizes are of images of 28 to 32 pixels."""
    small = [
        replace(clean_model(name=str(i), by_source=(None,) * 6), shape=(1, 8, 8)) for i in range(12)
    ]
    learned, _ = fitted(small, usual=calibration_for(10))
    assert BY_SOURCE not in learned.nulls
    assert BY_SOURCE in learned.unreached


def test_a_family_that_few_models_show_has_no_null() -> None:
    some = [clean_model(name=str(i), by_source=NATURAL if i < 3 else ()) for i in range(12)]
    learned, _ = fitted(some, usual=calibration_for(10))
    assert learned.nulls[BY_SOURCE] == calibration_for(10).nulls[BY_SOURCE]
    small, _ = fitted([replace(m, shape=(1, 8, 8)) for m in some], usual=calibration_for(10))
    assert set(small.nulls) == {"patch"}
    assert BY_SOURCE not in small.unreached


def test_models_that_are_called_backdoored_count_where_they_are_accepted(
    report: ScanReport,
) -> None:
    called = {name: replace(item, verdict="backdoored") for name, item in like(report).items()}
    reports = {**like(report), "model 3": called["model 3"]}
    with pytest.raises(UndoorError, match="got model 3, which their scans call backdoored"):
        calibrate(reports)
    assert len(calibrate(reports, accept_backdoored=True).models) == MIN_MODELS


def test_of_another_kind_it_knows_nothing(report: ScanReport) -> None:
    learned = replace(calibrate(like(report)), scope=calibration_for(10).scope)
    found = undoor.scan(toy_classifier(backdoored=False), clean_images(), calibration=learned)
    assert found.verdict == "inconclusive"


def test_natural_triggers_of_few_classes_count_by_themselves() -> None:
    """A clean model of three classes is as rare as its smallest trigger, beside whatever others."""
    learned, _ = fitted([drawn(seed, classes=3) for seed in range(40)])
    assert learned.scope.classes == (3, 3)
    null = learned.nulls["patch"]
    assert null.absolute
    lowest = [
        min(item.size or 9 for item in drawn(s, 3).evidence if item.margin is None)
        for s in range(40)
    ]
    p = p_values(null.natural / np.array(lowest), null, 3)
    assert 0.3 < np.mean(p <= 0.5) < 0.7
    assert np.mean(p <= 0.02) <= 0.05


def test_too_few_models(report: ScanReport) -> None:
    with pytest.raises(UndoorError, match="at least 10 clean models, got 9"):
        calibrate(like(report, 9))
    with pytest.raises(UndoorError, match="different models, got 10 of the one"):
        calibrate({str(number): report for number in range(10)})


@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_a_search_that_ended_early_teaches_nothing(report: ScanReport, share: float) -> None:
    clean, passes = clean_images(), int(share * report.passes)
    early = undoor.scan(
        toy_classifier(backdoored=False), clean, budget=undoor.Budget(passes=passes)
    )
    with pytest.raises(UndoorError, match="cut short: expected the report of a scan"):
        Observation.of_clean(early, "cut short")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"size": float("nan")}, "sizes above 0"),
        ({"size": -5.0}, "sizes above 0"),
        ({"size": 0.0}, "sizes above 0"),
        ({"size": float("inf")}, "sizes above 0"),
        ({"target": 99}, "each class once"),
        ({"target": 1}, "each class once"),
        ({"target": -1}, "each class once"),
        ({"margin": None}, "a margin where one is measured"),
        ({"margin": float("nan")}, "finite margins"),
        ({"margin": 1e300}, "finite margins"),
        ({"family": "no such"}, "no such"),
    ],
)
def test_evidence_that_no_scan_finds(report: ScanReport, changes: dict[str, Any], why: str) -> None:
    first, *rest = report.evidence
    assert first.margin is not None
    changed = replace(report, evidence=(replace(first, **changes), *rest))
    with pytest.raises(UndoorError, match=f"odd: .*{why}"):
        Observation.of_clean(changed, "odd")


@pytest.mark.parametrize("changes", [{"shape": (1,)}, {"shape": (1, 0, 0)}, {"classes": 3}])
def test_coverage_that_no_scan_has(report: ScanReport, changes: dict[str, Any]) -> None:
    changed = replace(report, coverage=replace(report.coverage, **changes))
    with pytest.raises(UndoorError, match="odd: expected"):
        Observation.of_clean(changed, "odd")


def mixed(*changes: dict[str, object]) -> Sequence[Observation]:
    return [replace(drawn(seed), **changes[seed % len(changes)]) for seed in range(12)]  # type: ignore[arg-type]


def test_models_of_different_kinds_are_refused() -> None:
    with pytest.raises(UndoorError, match="one kind"):
        fitted(mixed({}, {"network": "other"}))
    with pytest.raises(UndoorError, match="all have at least 5 classes"):
        fitted([*(drawn(seed) for seed in range(11)), clean_model(sizes=(8.0, 9.0, 7.0))])


# Files


def test_reports_are_read_without_their_triggers(report: ScanReport, tmp_path: Path) -> None:
    report.save(tmp_path / "scan")
    printed = tmp_path / "scan.json"
    printed.write_text(json.dumps(report.to_json()))
    for file in (tmp_path / "scan", printed):
        assert read_report(file).evidence == report.evidence
    with pytest.raises(UndoorError, match="--out folder of `undoor scan`"):
        read_report(tmp_path / "none")
    for text in ("{}", "[]", "no json", '{"schema": "undoor/scan/6"}', "[NaN]", 9999 * "["):
        printed.write_text(text)
        with pytest.raises(UndoorError):
            read_report(printed)


def test_a_calibration_survives_its_file(report: ScanReport, tmp_path: Path) -> None:
    learned = calibrate(like(report))
    learned.save(tmp_path / "own.toml")
    again = Calibration.load(tmp_path / "own.toml")
    assert again == learned
    assert again.sha256 == learned.sha256
