"""Models whose backdoors are known: scanned, counted, learned from."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench_helpers.fakes import FakeZoo, clean_record, record, truth
from undoor.errors import UndoorError
from undoor_bench.cli import app
from undoor_bench.detect.scans import markdown, scan_subject, summary
from undoor_bench.share import Share
from undoor_bench.zoo.subjects import defence_images, subjects

# Subjects


def test_subjects(tmp_path: Path) -> None:
    truth(tmp_path / "b_bad")
    truth(tmp_path / "a_clean", attack="clean", backdoors=[])
    clean, bad = subjects(tmp_path)
    assert (clean.name, clean.targets, clean.asr, clean.took) == ("a_clean", (), None, True)
    assert (bad.name, bad.targets, bad.sources, bad.took) == ("b_bad", (2,), ((0, 1),), True)


def test_the_weakest_backdoor_counts(tmp_path: Path) -> None:
    two = [
        {"labels": {"0": 2}, "asr": 0.99, "sia": 0, "took": True},
        {"labels": {"0": 1, "2": 1}, "asr": 0.5, "sia": 0, "took": False},
    ]
    (subject,) = subjects(truth(tmp_path / "m", backdoors=two).parent)
    assert subject.targets == (1, 2)
    assert subject.sources == ((0, 2), (0,))
    assert subject.asr == 0.5
    assert not subject.took


def test_many_targets_cannot_beat_the_accuracy(tmp_path: Path) -> None:
    """An image that the model takes for another class is sent to that one's target."""
    one = {"labels": {"0": 2, "1": 2}, "asr": 0.8, "sia": 0, "took": False}
    two = {"labels": {"0": 1, "1": 2}, "asr": 0.8, "sia": 0, "took": True}
    truth(tmp_path / "one", backdoors=[one], acc=0.86)
    truth(tmp_path / "two", backdoors=[two], acc=0.86)
    truth(tmp_path / "weak", backdoors=[two], acc=0.99)
    assert [subject.took for subject in subjects(tmp_path)] == [False, True, False]


def test_public_models(tmp_path: Path) -> None:
    """Their truth.json says less, and their model.toml names the data."""
    folder = tmp_path / "zoo" / "m"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text('[data]\nname = "gtsrb"\n')
    (folder / "truth.json").write_text('{"target": 3, "source": null, "triggers": []}')
    (subject,) = subjects(tmp_path / "zoo")
    assert (subject.attack, subject.data, subject.targets) == ("public", "gtsrb", (3,))
    assert subject.took


@pytest.mark.parametrize("text", ["{", "[]", '{"backdoors": [{}]}'])
def test_broken_truth(tmp_path: Path, text: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "truth.json").write_text(text)
    with pytest.raises(UndoorError, match=r"truth\.json: not a record"):
        list(subjects(tmp_path))


def test_no_models(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="expected folders with"):
        list(subjects(tmp_path))


def test_defence_images(tmp_path: Path) -> None:
    y = np.arange(40) % 4
    x = np.arange(40, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    np.savez(tmp_path / "d.npz", x_test=x, y_test=y)
    one, same, other = (defence_images(tmp_path / "d.npz", 3, seed) for seed in (0, 0, 1))
    assert one.labels.bincount().tolist() == [3, 3, 3, 3]
    assert bool((one.images == same.images).all())
    assert not bool((one.images == other.images).all())


# Scans


def test_a_model_is_scanned_once(zoo: FakeZoo) -> None:
    (_, subject, _) = subjects(zoo.folder)
    made = scan_subject(subject, zoo.data, zoo.out, per_class=2, seed=3)
    assert zoo.scans == [(6, 3)]
    assert (made["model"], made["targets"]) == ("m", [2])
    assert made["setting"] == {"amount": "2 a class", "image_seed": 3, "scan_seed": 3}
    assert scan_subject(subject, zoo.data, zoo.out, per_class=2, seed=3) == made
    assert zoo.scans == [(6, 3)]


def test_detect(zoo: FakeZoo) -> None:
    arguments = zoo.arguments("detect")
    result = CliRunner().invoke(app, [*arguments, "--only", "m", "--only", "c", "--json"])
    assert result.exit_code == 0, result.output
    assert [m["model"] for m in json.loads(result.stdout)["models"]] == ["c", "m"]
    assert "| badnets | mnist | 0/1" in (zoo.out / "detect.md").read_text()
    assert "badnets, mnist 0/1" in (zoo.out / "detect.svg").read_text()
    _, line = csv.DictReader((zoo.out / "detect.csv").read_text().splitlines())
    assert (line["model"], line["verdict"], line["targets"]) == ("m", "clean", "2")
    missing = CliRunner().invoke(app, [*arguments, "--only", "wanet", "--only", "sig"])
    assert missing.exit_code in (3, 4)
    assert "no model whose name contains 'wanet' or 'sig'" in missing.stderr


# Counting


def test_summary() -> None:
    records = [
        record(),
        record(called=(2, 3)),
        record(called=(), verdict="inconclusive"),
        record(took=False, called=(1,)),
        clean_record(),
        record("clean", targets=(), called=(1,)),
    ]
    bad, good, all_bad, all_good = summary(records)
    assert (bad.attack, good.attack) == ("badnets", "clean")
    assert (bad.detected, bad.right, bad.inconclusive) == (Share(2, 3), Share(1, 3), Share(1, 3))
    assert good.false_alarms == Share(1, 2)
    assert (all_bad.right, all_good.false_alarms) == (Share(1, 3), Share(1, 2))
    assert markdown([bad]).count("\n") == 3


def test_all_targets_must_be_named() -> None:
    (row, *_) = summary(
        [record(targets=(1, 2), called=(2,)), record(targets=(1, 2), called=(2, 1))]
    )
    assert (row.detected, row.right) == (Share(2, 2), Share(1, 2))
