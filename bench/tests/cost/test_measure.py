"""A scan beside mask inversion: records, and the command."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import undoor
from undoor.errors import UndoorError
from undoor.scan import Budget, ScanReport
from undoor.scan.coverage import Coverage
from undoor.scan.reason import written
from undoor_bench.cli import app
from undoor_bench.cost import measure as cost
from undoor_bench.cost.mask_inversion import Inversion, Settings, invert_class
from undoor_bench.cost.measure import measure_cost, read_records
from undoor_bench.records import Record
from undoor_bench.zoo.subjects import Subject

FEW = Settings(steps=4, batches=2, batch=5)


def fake_scan(classifier: undoor.Classifier, clean: undoor.CleanSet, **_: object) -> ScanReport:
    print_ = classifier.fingerprint()
    return ScanReport(
        "clean",
        (written("why"),),
        (),
        (),
        Coverage(),
        classifier.class_names,
        print_,
        len(clean),
        0,
        1.5,
        77,
    )


@pytest.fixture
def subject(
    tmp_path: Path, classifier: undoor.Classifier, monkeypatch: pytest.MonkeyPatch
) -> Subject:
    """A model of three classes, and four images of each."""
    x = np.arange(12, dtype=np.uint8).repeat(48).reshape(12, 4, 4, 3)
    np.savez(tmp_path / "mnist.npz", x_test=x, y_test=np.arange(12) % 3)
    folder = tmp_path / "zoo" / "m"
    folder.mkdir(parents=True)
    made = {"attack": "clean", "data": "mnist", "network": "VGG", "backdoors": []}
    (folder / "truth.json").write_text(json.dumps(made))
    monkeypatch.setattr(undoor, "load", lambda _: classifier)
    monkeypatch.setattr(undoor, "scan", fake_scan)
    return Subject(folder, "mnist", "clean", "VGG", (), (), None, True)


def measure(subject: Subject, data: Path, **options: object) -> Record:
    made = {"per_class": 2, "settings": FEW} | options
    return measure_cost(subject, data, data / "out", **made)  # type: ignore[arg-type]


def test_both_get_the_same_images(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def spy(classifier: undoor.Classifier, images: Any, *args: Any, **options: Any) -> Inversion:
        seen.append(images)
        return invert_class(classifier, images, *args, **options)

    monkeypatch.setattr(cost, "invert_class", spy)
    made = measure(subject, tmp_path)
    assert made["scan"]["images"] == 6
    assert [len(images) for images in seen] == [6, 6, 6]
    assert sorted(run["target"] for run in made["mask_inversion"]["runs"]) == [0, 1, 2]


def test_the_record_says_what_was_measured(subject: Subject, tmp_path: Path) -> None:
    made = measure(subject, tmp_path, classes=2)
    masks = made["mask_inversion"]
    assert masks["settings"]["steps"] == 4
    assert masks["total"]["how"] == "measured 2 of 3 classes; passes extrapolated"
    assert masks["total"]["passes_measured"] == 2 * 40
    assert masks["total"]["passes_low"] == 3 * 40
    assert read_records(tmp_path / "out") == [made]


def test_more_classes_are_added(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the scan nor a class is run again, and the result is as if all had come at once."""
    first = measure(subject, tmp_path, classes=1)["mask_inversion"]["runs"]
    monkeypatch.setattr(undoor, "scan", None)
    later = measure(subject, tmp_path)
    assert later["mask_inversion"]["runs"][0] == first[0]
    assert later["mask_inversion"]["total"]["measured"] == 3
    monkeypatch.setattr(cost, "invert_class", None)
    assert measure(subject, tmp_path, classes=2) == later


def test_what_ends_half_way_is_kept(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if "class 1" in stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(subject, tmp_path, progress=stop)
    monkeypatch.setattr(undoor, "scan", None)
    kept = [run["target"] for record in read_records(tmp_path / "out") for run in _runs(record)]
    assert 1 not in kept
    made = measure(subject, tmp_path)
    assert sorted(run["target"] for run in _runs(made)) == [0, 1, 2]


def _runs(record: Record) -> list[Record]:
    return list(record["mask_inversion"]["runs"])


def test_a_class_that_was_cut_off_is_run_again_with_another_cap(
    subject: Subject, tmp_path: Path
) -> None:
    made = measure(subject, tmp_path, cap=Budget(passes=1))
    assert [run["stopped"] for run in _runs(made)] == ["cut off"] * 3
    total = made["mask_inversion"]["total"]
    assert (total["passes_low"], total["passes_high"]) == (3 * 10, 3 * 40)
    assert measure(subject, tmp_path, cap=Budget(passes=1)) == made
    again = measure(subject, tmp_path)
    assert [run["stopped"] for run in _runs(again)] == ["all steps"] * 3


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"per_class": 3}, "per_class"),
        ({"seed": 1}, "seed"),
        ({"settings": replace(FEW, steps=5)}, "settings"),
    ],
)
def test_other_conditions_need_another_record(
    subject: Subject, tmp_path: Path, change: dict[str, object], what: str
) -> None:
    measure(subject, tmp_path)
    with pytest.raises(UndoorError, match=rf"m\.json: made with {what} .* another --out"):
        measure(subject, tmp_path, **change)


def test_another_model_needs_another_record(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(subject, tmp_path)
    network = undoor.load(subject.folder).network
    other = undoor.Classifier(network, input_shape=(3, 4, 4), bounds=(0, 2))
    monkeypatch.setattr(undoor, "load", lambda _: other)
    with pytest.raises(UndoorError, match="model_sha256"):
        measure(subject, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "m", "scan": {"passes": 1}}'])
def test_files_that_are_no_records(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(UndoorError, match=r"m\.json: not a record of what a scan costs"):
        read_records(tmp_path)


def test_command(subject: Subject, tmp_path: Path) -> None:
    """With the published settings, cut off after one step."""
    zoo, out = subject.folder.parent, tmp_path / "out"
    arguments = ["cost", str(zoo), "--data", str(tmp_path), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--class-passes", "1", "--classes", "2"])
    assert result.exit_code == 0, result.output
    assert "ratio" in result.stdout
    assert "| m | 3 |" in (out / "cost.md").read_text()
    (line,) = csv.DictReader((out / "cost.csv").read_text().splitlines())
    assert line["inversion_passes_measured"] == str(2 * 992)
    assert line["inversion_passes_high"] == str(3 * 992_000)
    assert (out / "cost.svg").read_text().startswith("<?xml")
    result = CliRunner().invoke(app, [*arguments, "--class-passes", "1", "--json"])
    document = json.loads(result.stdout)
    assert document["schema"] == "undoor/bench-cost/1"
    assert document["models"][0]["mask_inversion"]["total"]["measured"] == 3
    result = CliRunner().invoke(app, [*arguments, "--only", "other"])
    assert result.exit_code in (3, 4)
    assert "no model whose name contains 'other'" in result.stderr
