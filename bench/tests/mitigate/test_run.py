"""Records of mitigation, and the command that makes them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from bench_helpers.fakes import FakeZoo, truth
from bench_helpers.mitigate_work import before, toy_case
from undoor.errors import UndoorError
from undoor.progress import silent
from undoor.repair import Repair
from undoor.scan.report import ScanReport
from undoor.triggers import Stamp
from undoor_bench.cli import app
from undoor_bench.mitigate import case as mitigate_case
from undoor_bench.mitigate.methods import METHODS, Defence, Method, method
from undoor_bench.mitigate.run import measured, read_records
from undoor_bench.rates import Predictions
from undoor_bench.zoo.planted import Planted


@pytest.fixture
def fakes(zoo: FakeZoo, monkeypatch: pytest.MonkeyPatch) -> FakeZoo:
    """The same zoo with backdoors that stamp images black; its scans find nothing."""
    black = Stamp("given", torch.ones(1, 4, 4), torch.zeros(3, 4, 4), "replace", (0.0, 1.0))
    monkeypatch.setattr(mitigate_case, "planted", lambda *_: (Planted(2, (0, 1), black),))
    return zoo


def run(zoo: FakeZoo, *more: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, zoo.arguments("mitigate", *more))
    return result.exit_code, result.stdout, result.stderr


def test_a_record_of_a_guard(tmp_path: Path, toy_report: ScanReport, toy_repair: Repair) -> None:
    case = toy_case(tmp_path / "scans", toy_report)
    case._repairs["paired", None, 0, False] = toy_repair
    record = json.loads(json.dumps(measured(case, method("paired"), before(case))))
    assert record["failed"] is None
    assert record["scan"]["verdict"] == "backdoored"
    assert (record["scan"]["targets"], record["scan"]["missed"]) == ([2], [])
    assert (record["before"]["asr"], record["after"]["asr"]) == (1, 0)
    assert record["after"]["tpr"] == 1
    low, high = record["after"]["sia_interval"]
    assert low < record["after"]["sia"] <= high
    assert record["seconds"] == toy_repair.seconds["align"]
    assert record["tested"] == {"clean": 120, "triggered": 100}
    assert record["drawn"] == {"images": 60, "least": 10, "most": 10}
    assert record["kind"] == "ours"


def test_a_target_that_was_missed(tmp_path: Path, toy_report: ScanReport) -> None:
    (finding,) = toy_report.findings
    other = replace(toy_report, findings=(replace(finding, target=0),))
    case = toy_case(tmp_path / "scans", other)
    record = measured(case, method("detection_alone"), before(case))
    assert record["scan"]["missed"] == [2]
    assert record["after"]["asr"] == 1


def test_what_a_method_cannot_do_is_recorded(tmp_path: Path) -> None:
    case = toy_case(tmp_path / "scans", None, norm=False)
    record = measured(case, method("bn"), before(case))
    assert "no batch norm" in record["failed"]
    assert record["before"]["asr"] == 1
    assert (record["after"], record["seconds"], record["scan"]) == (None, None, None)


def test_a_scan_of_another_model_is_no_fault_of_the_method(
    tmp_path: Path, toy_report: ScanReport
) -> None:
    case = toy_case(tmp_path / "scans", replace(toy_report, fingerprint="f" * 64))
    with pytest.raises(UndoorError, match="scan of another model"):
        measured(case, method("paired"), before(case))


def test_a_bug_is_no_record(tmp_path: Path) -> None:
    def make(*_: object) -> Defence:
        raise RuntimeError("a bug")

    case = toy_case(tmp_path / "scans", None)
    with pytest.raises(RuntimeError, match="a bug"):
        measured(case, Method("m", "rival", False, make), before(case), progress=silent)


def test_command(fakes: FakeZoo) -> None:
    """m and n, the backdoored models; two amounts; one scan each for both methods in need."""
    wanted = ("--methods", "detection_alone,onepass,fine_tuning,strip", "--images", "2,8")
    code, out, err = run(fakes, *wanted, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["schema"] == "undoor/bench-mitigate/1"
    assert len(document["records"]) == 16
    assert sorted(fakes.scans) == [(6, 0), (6, 0), (24, 0), (24, 0)]
    failed = [r for r in document["records"] if r["failed"]]
    assert {(r["method"], r["drawn"]["images"]) for r in failed} == {("strip", 6)}
    text = (fakes.out / "mitigate.md").read_text()
    assert "true_trigger is an oracle" in text
    assert "## badnets" in text
    assert "| 2 a class | strip | 0 | 2 | – |" in text
    lines = list(csv.DictReader((fakes.out / "mitigate.csv").read_text().splitlines()))
    assert len(lines) == 16
    assert {line["missed"] for line in lines if line["method"] == "onepass"} == {"2"}
    assert (fakes.out / "mitigate.svg").read_text().startswith("<?xml")
    code, out, _ = run(fakes, *wanted)
    assert code == 0
    assert "all attacks, 2 a class" in out
    assert out.count("fine_tuning") == 2


def test_nothing_is_measured_twice(fakes: FakeZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    answers = Predictions(torch.zeros(48, dtype=torch.int64))

    def make(case: mitigate_case.Case, _: object) -> Defence:
        made.append(case.subject.name)
        return Defence(lambda x: Predictions(answers.labels[: len(x)]), 1.0)

    monkeypatch.setitem(METHODS, "bn", replace(METHODS["bn"], make=make))
    arguments = ("--methods", "bn,detection_alone", "--images", "4")
    assert run(fakes, *arguments, "--only", "m")[0] == 0
    assert run(fakes, *arguments)[0] == 0
    assert made == ["m", "n"]
    assert len(fakes.scans) == 2
    files = sorted((fakes.out / "records").rglob("*.json"))
    before = [file.stat().st_mtime_ns for file in files]
    assert run(fakes, *arguments)[0] == 0
    assert [file.stat().st_mtime_ns for file in files] == before
    files[0].unlink()
    assert run(fakes, *arguments)[0] == 0
    assert made == ["m", "n", "m"]
    assert len(read_records(fakes.out)) == 4


def test_wrong_methods_and_models_cost_nothing(fakes: FakeZoo) -> None:
    code, _, err = run(fakes, "--methods", "magic")
    assert (code, "got 'magic'" in err) == (4, True)
    code, _, err = run(fakes, "--only", "c")
    assert code == 4
    assert "whose backdoor took" in err
    truth(
        fakes.folder / "weak",
        backdoors=[{"labels": {"0": 2}, "asr": 0.3, "sia": 0.6, "took": False}],
    )
    assert run(fakes, "--only", "weak")[0] == 4
    assert not fakes.scans


def _other_model(record: dict[str, object]) -> dict[str, object]:
    return record | {"model": "other"}


def _other_seed(record: dict[str, object]) -> dict[str, object]:
    return record | {"setting": {"amount": "4 a class", "image_seed": 1, "scan_seed": 1}}


@pytest.mark.parametrize("change", [_other_model, _other_seed])
def test_records_of_something_else(
    fakes: FakeZoo, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    arguments = ("--methods", "detection_alone", "--images", "4", "--only", "m")
    assert run(fakes, *arguments)[0] == 0
    (file,) = (fakes.out / "records").rglob("*.json")
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    code, _, err = run(fakes, *arguments)
    assert code == 4
    assert "instead of" in err


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "m"}'])
def test_files_that_are_no_records(tmp_path: Path, text: str) -> None:
    file = tmp_path / "records" / "10_a_class" / "seed_0" / "bn" / "m.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(UndoorError, match="not a record of a mitigation"):
        read_records(tmp_path)
