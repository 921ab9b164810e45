"""`undoor calibrate`, and scans by what it learned."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from helpers.cli_fakes import Cli, make_report
from helpers.observations import drawn
from undoor.families.calibration import Calibration
from undoor.render.documents import json_schema


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


def reports(cli: Cli, count: int) -> list[Path]:
    """What scans of so many models printed."""
    out = []
    for seed in range(count):
        made = drawn(seed)
        clean, names = make_report("clean"), tuple(map(str, range(made.classes)))
        report = replace(
            clean,
            evidence=made.evidence,
            class_names=names,
            coverage=replace(clean.coverage, classes=made.classes, shape=made.shape),
            fingerprint=f"{seed:064}",
        )
        out.append(cli.folder / f"{seed}.json")
        out[-1].write_text(json.dumps(report.to_json()))
    return out


def test_calibrate(cli: Cli) -> None:
    out = cli.folder / "own.toml"
    result = cli.run("calibrate", *reports(cli, 12), "--out", out)
    assert result.exit_code == 0, result.output
    assert "learned from 12 models" in " ".join(result.stdout.split())
    learned = Calibration.load(out)
    assert learned.lowest.models == 12
    as_json = cli.run("calibrate", *reports(cli, 12), "--out", out, "--json")
    document = json.loads(as_json.stdout)
    assert document["lowest"]["models"] == 12
    jsonschema.Draft202012Validator(json_schema("calibration")).validate(document)


def test_models_that_are_called_backdoored_are_named(cli: Cli) -> None:
    files = reports(cli, 12)
    data = json.loads(files[3].read_text())
    files[3].write_text(json.dumps(data | {"verdict": "backdoored"}))
    out = cli.folder / "own.toml"
    refused = cli.run("calibrate", *files, "--out", out)
    assert refused.exit_code == 4
    assert "3.json, which their scans call backdoored" in " ".join(refused.stderr.split())
    assert cli.run("calibrate", *files, "--out", out, "--accept-backdoored").exit_code == 0
    twice = cli.run("calibrate", *files, files[0], "--out", out)
    assert twice.exit_code == 4
    assert "each report once" in twice.stderr


def test_too_few_or_no_reports(cli: Cli) -> None:
    out = cli.folder / "own.toml"
    few = cli.run("calibrate", *reports(cli, 3), "--out", out)
    assert few.exit_code == 4
    assert "at least 10 clean models, got 3" in few.stderr
    none = cli.run("calibrate", cli.folder / "none", "--out", out)
    assert none.exit_code == 4
    assert "--out folder of `undoor scan`" in none.stderr
    assert not out.exists()


def test_a_scan_by_what_was_learned(cli: Cli) -> None:
    out = cli.folder / "own.toml"
    cli.run("calibrate", *reports(cli, 12), "--out", out)
    assert cli.scan("--calibration", out).exit_code == 1
    assert cli.calibration == Calibration.load(out)


def test_a_damaged_calibration_is_refused_before_the_model_is_opened(cli: Cli) -> None:
    """The code of a hostile model would have run for nothing, and scans take minutes."""
    out = cli.folder / "own.toml"
    out.write_text("no such thing")
    refused = cli.run("scan", cli.folder / "none", "--data", cli.data, "--calibration", out)
    assert refused.exit_code == 4
    assert "expected a file that `undoor calibrate` wrote" in refused.stderr
