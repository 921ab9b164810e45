"""The methods beside each other, on a toy network whose trigger is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench_helpers.mitigate_work import SOURCES, before, toy_case
from helpers.tiny import TARGET, clean_images
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.progress import Progress, silent
from undoor.rate import Rate
from undoor.repair import Repair
from undoor.scan.report import Finding, ScanReport
from undoor.sites import attach
from undoor_bench.mitigate.case import Case
from undoor_bench.mitigate.methods import GROUPS, METHODS, Defence, bare, method, read_methods
from undoor_bench.rates import PredictionSet, basic_rates, flag_rates
from undoor_bench.rivals import RIVALS
from undoor_bench.test_time import DETECTORS


@pytest.fixture
def case(tmp_path: Path, toy_report: ScanReport, toy_repair: Repair) -> Case:
    """With the repair of the default fit made already."""
    made = toy_case(tmp_path / "scans", toy_report)
    made._repairs["paired", None, 0, False] = toy_repair
    return made


def rates(case: Case, defence: Defence) -> dict[str, Rate]:
    outcome = PredictionSet.of(defence.predictions, case.test, case.triggered)
    return basic_rates(outcome, case.test, case.triggered, [TARGET]) | flag_rates(
        outcome, before(case), case.test, [TARGET]
    )


def values(case: Case, name: str) -> dict[str, float | None]:
    found = rates(case, method(name).make(case, silent))
    return {key: rate.value for key, rate in found.items()}


def test_names() -> None:
    assert set(GROUPS["all"]) > {"paired", "onepass", "paper", "true_trigger", *RIVALS, *DETECTORS}
    assert "paper_js" not in GROUPS["all"]
    names = [item.name for item in read_methods("onepass,plan: input alone, rivals,bn")]
    assert names == ["onepass", "plan: input alone", *RIVALS]
    assert len({method(name).folder for name in [*METHODS, "plan: per channel"]}) == 1 + len(
        METHODS
    )
    changed = read_methods("ablations")
    expected = {"paper_js", "paper_kl", "onepass_clip", "plan: per channel", "plan: last 2"}
    assert expected < {item.name for item in changed}
    assert {item.kind for item in changed} == {"ablation"}
    assert {item.name for item in METHODS.values() if item.kind == "oracle"} == {"true_trigger"}


@pytest.mark.parametrize("text", ["", "onepass,", "magic", "plan: ", "Onepass"])
def test_no_methods(text: str) -> None:
    with pytest.raises(UndoorError, match="expected methods among"):
        read_methods(text)


def test_detection_alone_is_the_bare_model(case: Case) -> None:
    found = values(case, "detection_alone")
    assert found["asr"] == 1
    assert found["sia"] == 0
    assert (found["tpr"], found["fpr"], found["auroc"]) == (None, None, None)


@pytest.mark.parametrize("name", ["paired", "true_trigger"])
def test_guards_close_it(name: str, case: Case) -> None:
    found = values(case, name)
    assert found["asr"] == 0
    for key in ("acc", "sia", "tpr", "auroc"):
        assert found[key] is not None
        assert found[key] > 0.95  # type: ignore[operator]
    plans = method(name).make(case, silent).details["plans"]
    assert set(plans) == {str(TARGET)}


def test_the_other_rule(case: Case, toy_repair: Repair) -> None:
    """It answers as a guard of that rule does, by another score than the default."""
    outcome = PredictionSet.of(
        method("disagreement").make(case, silent).predictions, case.test, case.triggered
    )
    guarded = guard(case.classifier, toy_repair, rule="disagreement")
    for answers, images in (
        (outcome.clean, case.test),
        (outcome.triggered[0], case.triggered[0]),
    ):
        labels, flagged, score = guarded(images.images)
        assert torch.equal(answers.labels, labels)
        assert answers.flagged is not None
        assert torch.equal(answers.flagged, flagged)
        assert answers.score is not None
        assert torch.equal(answers.score, score)
    paired = method("paired").make(case, silent).predictions(case.triggered[0].images)
    assert paired.score is not None
    assert outcome.triggered[0].score is not None
    assert not torch.equal(paired.score, outcome.triggered[0].score)


def test_the_corrected_network_alone_answers_everything(case: Case, toy_repair: Repair) -> None:
    answers = method("corrected_alone").make(case, silent).predictions(case.test.images)
    corrected = attach(case.network, toy_repair.targets[0].corrections)
    assert torch.equal(answers.labels, corrected.predict(case.test.images))
    assert answers.flagged is None


def test_both_rules_have_the_same_repair(
    tmp_path: Path, toy_report: ScanReport, toy_repair: Repair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made once, of the scan that was stored, and its seconds count for both."""
    made: list[tuple[object, ...]] = []

    def repair(*_: object, **asked: object) -> Repair:
        made.append(tuple(asked[name] for name in ("fit", "plan", "suspects", "quick")))
        return toy_repair

    monkeypatch.setattr("undoor.repair", repair)
    case = toy_case(tmp_path / "scans", toy_report)
    names = ("paired", "disagreement", "plan: per channel", "paper_js", "suspects", "quick")
    defences = [method(name).make(case, silent) for name in names]
    assert made == [
        ("paired", None, 0, False),
        ("paired", "per channel", 0, False),
        ("paper_js", None, 0, False),
        ("paired", None, 2, False),
        ("paired", None, 0, True),
    ]
    # The processor's seconds, not those that the repair says of itself.
    seconds = [defence.seconds for defence in defences]
    assert seconds[0] == seconds[1]
    assert all(0.0 <= each < toy_repair.seconds["align"] for each in seconds)


@pytest.mark.parametrize("name", ["paired_unbounded", "onepass_affine", "onepass_clip"])
def test_less_of_the_correction(name: str, case: Case) -> None:
    """Either half is fitted and served; what it closes is what it is measured for."""
    found = values(case, name)
    assert found["acc"] is not None
    assert found["acc"] > 0.9
    assert method(name).make(case, silent).details["plans"].keys() == {str(TARGET)}


def test_a_plan_of_another_network(case: Case) -> None:
    with pytest.raises(UndoorError, match="got 'per position to 99'"):
        method("plan: per position to 99").make(case, silent)


@pytest.mark.parametrize("name", ["paired", "disagreement", "unlearning"])
def test_what_the_scan_missed_is_left_as_it_is(
    name: str, tmp_path: Path, toy_report: ScanReport
) -> None:
    nothing = replace(toy_report, verdict="clean", findings=())
    case = toy_case(tmp_path / "scans", nothing)
    found = values(case, name)
    assert (found["acc"], found["asr"], found["sia"]) == (1, 1, 0)
    assert method(name).scans


def test_unlearning_knows_what_was_found(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Finding, ...]] = []

    def rival(
        classifier: Classifier,
        clean: CleanSet,
        report: ScanReport,
        generator: torch.Generator,
        /,
        *,
        progress: Progress = silent,
    ) -> Classifier:
        seen.append(report.findings)
        return classifier

    for name in ("unlearning", "bn"):
        monkeypatch.setitem(RIVALS, name, rival)
        method(name).make(case, silent)
    assert [finding.target for finding in seen[0]] == [TARGET]
    assert seen[1] == ()


def test_rivals_change_the_network(case: Case) -> None:
    """Fine-tuning really runs; the case's own model stays as it is."""
    defence = method("fine_tuning").make(case, silent)
    assert defence.seconds > 0
    found = rates(case, defence)
    assert found["tpr"].value is None
    assert found["acc"].value is not None
    assert basic_rates(before(case), case.test, case.triggered, [TARGET])["asr"].value == 1


def test_detectors_reject(case: Case) -> None:
    """About one in twenty clean images is lost; what is flagged reaches neither class."""
    found = values(case, "strip")
    assert found["tpr"] == 1
    assert (found["asr"], found["sia"]) == (0, 0)
    assert found["fpr"] is not None
    assert 0 < found["fpr"] < 0.2
    assert found["acc"] == pytest.approx(1 - found["fpr"])
    threshold = method("strip").make(case, silent).details["threshold"]
    score = method("strip").make(case, silent).predictions(case.clean.images).score
    assert score is not None
    assert float((score > threshold).double().mean()) <= 0.05


def test_too_few_images_for_a_detector(case: Case) -> None:
    few = replace(case, clean=clean_images(3))
    with pytest.raises(UndoorError, match="give more images"):
        method("strip").make(few, silent)


def test_the_oracle_needs_images_of_the_sources(case: Case) -> None:
    (backdoor,) = case.backdoors
    few = replace(case, clean=clean_images(3), backdoors=(replace(backdoor, sources=SOURCES[:1]),))
    with pytest.raises(UndoorError, match="go to 2, got 3"):
        method("true_trigger").make(few, silent)


def test_bare_answers_are_the_models(case: Case) -> None:
    answers = bare(case)(case.test.images)
    assert answers.labels.tolist() == case.classifier.predict(case.test.images).tolist()
