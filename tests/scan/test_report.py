"""What a scan found, on disk and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.cli_fakes import made_coverage
from helpers.tiny import BOUNDS, SIDE, true_trigger
from undoor.errors import UndoorError
from undoor.render.reasons import reason_texts
from undoor.scan.circumstances import Circumstances
from undoor.scan.coverage import Gap
from undoor.scan.reason import FamilyFacts, Reason, written
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.scan.schemas import SCHEMA
from undoor.vocabulary import AS_WRITTEN, OTHER_SIZE, SCAN_FILE, SEVERAL_TARGETS, trigger_file

SHAPE = (1, SIDE, SIDE)
REASONS = (Reason(SEVERAL_TARGETS, FamilyFacts("patch")), written("why not"))


def report(**changes: Any) -> ScanReport:
    findings = (
        Finding(2, (0, 1), "patch", 0.001, 21.5, 4.0, 0.93, true_trigger()),
        Finding(0, (1, 2), "patch", 0.004, 9.25, 3.5, 0.8, replace(true_trigger(), family="x")),
    )
    evidence = (
        ClassEvidence(0, "patch", 3.5, 9.25, 0.004, 0.8),
        ClassEvidence(1, "patch", None, -1.0, 1.0, 0.0),
        ClassEvidence(2, "patch", 4.0, 21.5, 0.001, 0.9),
        ClassEvidence(2, "patch by source", 3.0, 9.5, 0.02, None, source=1),
        ClassEvidence(None, "shared patch", 2.0, 8.5, 0.03),
    )
    made = ScanReport(
        "backdoored",
        REASONS,
        findings,
        evidence,
        made_coverage({"patch": 4.5}),
        ("a", "b", "ç"),
        "ab" * 32,
        30,
        7,
        1.5,
        1000,
    )
    return replace(made, **changes)


def load(folder: Path) -> ScanReport:
    return ScanReport.load(folder, shape=SHAPE, bounds=BOUNDS)


def test_round_trip(tmp_path: Path) -> None:
    made = report()
    made.save(tmp_path / "out")
    back = load(tmp_path / "out")
    assert back.to_json() == made.to_json()
    assert back.reasons == made.reasons
    assert back.evidence == made.evidence
    assert [f.sources for f in back.findings] == [(0, 1), (1, 2)]
    x = torch.rand(3, *SHAPE)
    for old, new in zip(made.findings, back.findings, strict=True):
        assert torch.allclose(new.trigger(x), old.trigger(x))
        assert new.trigger.family == old.trigger.family


def test_a_file_without_a_device(tmp_path: Path) -> None:
    """As versions before wrote them."""
    report(device="cuda (NVIDIA H200)").save(tmp_path)
    file = tmp_path / "scan.json"
    data = json.loads(file.read_text())
    assert data["device"] == "cuda (NVIDIA H200)"
    assert load(tmp_path).device == data.pop("device")
    file.write_text(json.dumps(data))
    assert load(tmp_path).device is None


def test_of_a_real_scan(tmp_path: Path, toy_report: ScanReport) -> None:
    toy_report.save(tmp_path)
    back = load(tmp_path)
    assert back.to_json() == toy_report.to_json()
    x = torch.rand(3, *SHAPE)
    for old, new in zip(toy_report.findings, back.findings, strict=True):
        assert torch.allclose(new.trigger(x), old.trigger(x), atol=1e-6)


def test_files(tmp_path: Path) -> None:
    report().save(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {SCAN_FILE, "trigger_0.npz", "trigger_2.npz"}
    data = json.loads((tmp_path / SCAN_FILE).read_text())
    assert data["schema"] == SCHEMA == "undoor/scan/6"
    assert [target["target"] for target in data["targets"]] == [2, 0]
    assert data["model_sha256"] == "ab" * 32
    assert data["evidence"][1]["size"] is None
    assert [item["source"] for item in data["evidence"]] == [None, None, None, 1, None]
    assert [item["target"] for item in data["evidence"]] == [0, 1, 2, 2, None]


def test_nothing_found(tmp_path: Path) -> None:
    made = report(verdict="clean", findings=())
    made.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [SCAN_FILE]
    assert load(tmp_path).findings == ()


def test_json_is_strict(tmp_path: Path) -> None:
    """NaN is no JSON; other readers would stumble over it."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        report(seconds=float("nan")).save(tmp_path)
    assert not (tmp_path / SCAN_FILE).exists()


def test_json_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with scan.json is a whole report."""

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(type(true_trigger()), "save", fail)
    with pytest.raises(OSError, match="disk full"):
        report().save(tmp_path)
    assert not (tmp_path / SCAN_FILE).exists()


def test_no_report(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match=r"scan\.json: no such file"):
        load(tmp_path / "nowhere")


def test_a_file_is_no_report(tmp_path: Path) -> None:
    """Somebody gives the JSON itself, or the model, where the folder is wanted."""
    report().save(tmp_path)
    with pytest.raises(UndoorError):
        load(tmp_path / SCAN_FILE)


def test_lost_trigger(tmp_path: Path) -> None:
    report().save(tmp_path)
    (tmp_path / trigger_file(0)).unlink()
    with pytest.raises(UndoorError, match=r"trigger_0\.npz: no such file"):
        load(tmp_path)


def test_trigger_of_another_shape(tmp_path: Path) -> None:
    report().save(tmp_path)
    with pytest.raises(UndoorError, match="expected a trigger of 4x4 pixels"):
        ScanReport.load(tmp_path, shape=(1, 4, 4), bounds=BOUNDS)


OLDER = ("undoor/scan/5", "undoor/scan/4", "undoor/scan/3")


def rewrite(folder: Path, schema: str) -> None:
    """Change a report into one of an older version."""
    data = json.loads((folder / SCAN_FILE).read_text())
    data |= {"schema": schema, "reasons": [item["text"] for item in data["reasons"]]}
    if schema in OLDER[1:]:
        for key in ("coverage", "date", "circumstances"):
            del data[key]
        data["detectable"] = {"patch": 4.5}
    if schema == "undoor/scan/3":
        del data["model"]
    (folder / SCAN_FILE).write_text(json.dumps(data))


@pytest.mark.filterwarnings("ignore::undoor.identity.binding.WeightsOnlyWarning")
@pytest.mark.parametrize("schema", OLDER[1:])
def test_reports_without_coverage_are_read(tmp_path: Path, schema: str) -> None:
    """What they say is kept; what they do not is not known."""
    made = report()
    made.save(tmp_path)
    rewrite(tmp_path, schema)
    back = load(tmp_path)
    assert (back.detectable, back.coverage.known) == ({"patch": 4.5}, False)
    assert (back.date, back.circumstances) == (None, Circumstances())
    assert back.evidence == made.evidence
    back.save(tmp_path / "again")
    assert load(tmp_path / "again").to_json() == back.to_json()


@pytest.mark.filterwarnings("ignore::undoor.identity.binding.WeightsOnlyWarning")
@pytest.mark.parametrize("schema", OLDER)
def test_reasons_that_are_sentences_are_read(tmp_path: Path, schema: str) -> None:
    made = report()
    made.save(tmp_path)
    rewrite(tmp_path, schema)
    back = load(tmp_path)
    assert [reason.code for reason in back.reasons] == [AS_WRITTEN, AS_WRITTEN]
    assert reason_texts(back) == reason_texts(made)
    if schema == "undoor/scan/5":
        assert back.coverage == made.coverage


def test_coverage_and_circumstances_come_back(tmp_path: Path) -> None:
    covered = replace(
        made_coverage({"patch": 4.5}),
        gaps=(Gap(OTHER_SIZE, (), (3, 64, 64), (28, 32, 1, 3)),),
        accepted=True,
    )
    made = report(
        coverage=covered,
        date="2026-01-31T12:00:00Z",
        circumstances=Circumstances(alpha=0.02, torch="2.13", per_class=(3, 4)),
    )
    made.save(tmp_path)
    back = load(tmp_path)
    assert (back.coverage, back.date) == (covered, made.date)
    assert back.circumstances == made.circumstances


@pytest.mark.parametrize("schema", ["undoor/scan/2", "undoor/repair/1", None])
def test_other_schema(tmp_path: Path, schema: str | None) -> None:
    report().save(tmp_path)
    data = json.loads((tmp_path / SCAN_FILE).read_text())
    (tmp_path / SCAN_FILE).write_text(json.dumps({**data, "schema": schema}))
    with pytest.raises(UndoorError, match="expected schema 'undoor/scan/6'"):
        load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        b"\xff\xfe\x00".decode("latin-1"),
        '{"schema": "undoor/scan/6"}',
    ],
)
def test_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / SCAN_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(UndoorError, match="not a scan report"):
        load(tmp_path)


@pytest.mark.parametrize(
    "key",
    ["verdict", "reasons", "targets", "evidence", "coverage", "class_names", "images", "date"],
)
def test_missing_entries(tmp_path: Path, key: str) -> None:
    report().save(tmp_path)
    data = json.loads((tmp_path / SCAN_FILE).read_text())
    del data[key]
    (tmp_path / SCAN_FILE).write_text(json.dumps(data))
    with pytest.raises(UndoorError, match="not a scan report"):
        load(tmp_path)


@pytest.mark.parametrize("key", ["reasons", "targets", "evidence", "class_names"])
def test_lists_that_are_none(tmp_path: Path, key: str) -> None:
    report().save(tmp_path)
    data = json.loads((tmp_path / SCAN_FILE).read_text())
    (tmp_path / SCAN_FILE).write_text(json.dumps({**data, key: None}))
    with pytest.raises(UndoorError, match="not a scan report"):
        load(tmp_path)


@pytest.mark.parametrize("where", ["targets", "evidence"])
def test_strange_fields(tmp_path: Path, where: str) -> None:
    report().save(tmp_path)
    data = json.loads((tmp_path / SCAN_FILE).read_text())
    data[where][0]["surprise"] = 1
    (tmp_path / SCAN_FILE).write_text(json.dumps(data))
    with pytest.raises(UndoorError, match="not a scan report"):
        load(tmp_path)
