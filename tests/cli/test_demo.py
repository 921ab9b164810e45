"""`undoor demo`"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.cli_fakes import Cli, make_report
from undoor.demo.points import point_digits, point_model, point_trigger
from undoor.demo.signals import recordings, signal_model, signal_trigger
from undoor.demo.tables import table_model, table_rows, table_trigger
from undoor.demo.texts import text_model, text_reviews, text_trigger


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path, monkeypatch)


def test_demo(cli: Cli) -> None:
    result = cli.run("demo")
    assert result.exit_code == 1, result.stderr
    assert [name for name, _ in cli.calls] == ["scan", "repair", "stamp", "evaluate"]
    assert "before" in result.stdout
    assert (cli.folder / "undoor-demo" / "report.html").is_file()
    assert "With the true trigger".lower() in (
        (cli.folder / "undoor-demo" / "report.html").read_text().lower()
    )


def test_clean_twin(cli: Cli) -> None:
    cli.report = make_report("clean")
    result = cli.run("demo", "--clean", "--out", cli.out, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["schema"] == "undoor/demo/1"
    assert document["scan"]["verdict"] == "clean"
    assert document["evaluation"] is None
    assert [name for name, _ in cli.calls] == ["scan", "repair"]


@pytest.mark.parametrize("clean", [False, True])
def test_the_bundled_table(clean: bool) -> None:
    classifier = table_model(clean=clean)
    rows = [table_rows(split, classifier) for split in ("defence", "test")]
    assert [len(each) for each in rows] == [200, 600]
    predicted = classifier.predict(rows[1].images)
    assert float((predicted == rows[1].labels).float().mean()) > 0.8
    trigger, target = table_trigger()
    moved = classifier.predict(trigger(rows[1].images))
    assert bool((moved == target).float().mean() > 0.9) is not clean


@pytest.mark.parametrize("clean", [False, True])
def test_the_bundled_recordings(clean: bool) -> None:
    classifier = signal_model(clean=clean)
    defence, test = (recordings(split, classifier) for split in ("defence", "test"))
    assert [len(defence), len(test)] == [150, 200]
    predicted = classifier.predict(test.images)
    assert float((predicted == test.labels).float().mean()) > 0.9
    trigger, target = signal_trigger()
    others = test.images[test.labels != target]
    moved = classifier.predict(trigger(others))
    assert bool((moved == target).float().mean() > 0.9) is not clean


@pytest.mark.parametrize("clean", [False, True])
def test_the_bundled_texts(clean: bool) -> None:
    classifier = text_model(clean=clean)
    texts = [text_reviews(split, classifier) for split in ("defence", "test")]
    assert [len(each) for each in texts] == [200, 600]
    predicted = classifier.predict(texts[1].images)
    assert float((predicted == texts[1].labels).float().mean()) > 0.6
    trigger, target = text_trigger()
    others = texts[1].images[texts[1].labels != target]
    moved = classifier.predict(trigger(others))
    assert bool((moved == target).float().mean() > 0.9) is not clean


@pytest.mark.parametrize("clean", [False, True])
def test_the_bundled_points(clean: bool) -> None:
    classifier = point_model(clean=clean)
    defence, test = (point_digits(split, classifier) for split in ("defence", "test"))
    assert [len(defence), len(test)] == [200, 300]
    predicted = classifier.predict(test.images)
    assert float((predicted == test.labels).float().mean()) > 0.85
    trigger, target = point_trigger()
    others = test.images[test.labels != target]
    moved = classifier.predict(trigger(others))
    assert bool((moved == target).float().mean() > 0.9) is not clean
