"""--report, --fail-on, --exit-zero, and `undoor schema`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from helpers.cli_fakes import Cli, make_report
from undoor.render import reports
from undoor.render.reports import REPORTS
from undoor.vocabulary import Verdict


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path, monkeypatch)


def written(cli: Cli) -> set[str]:
    return {path.name for path in cli.out.iterdir()} & {r.file for r in REPORTS.values()}


def test_every_format(cli: Cli) -> None:
    result = cli.scan("--out", cli.out, "--report", ",".join(REPORTS))
    assert result.exit_code == 1
    assert written(cli) == {report.file for report in REPORTS.values()}
    assert all(report.file in result.stdout for report in REPORTS.values())
    log = json.loads((cli.out / "report.sarif").read_text())
    assert log["runs"][0]["artifacts"][0]["location"]["uri"].endswith("model.toml")


def test_several_times_and_twice_the_same(cli: Cli) -> None:
    cli.repair("--report", "sarif", "--report", "junit, sarif")
    assert written(cli) == {"report.sarif", "report.junit.xml"}
    (result,) = json.loads((cli.out / "report.sarif").read_text())["runs"][0]["results"]
    assert "repair" in result["properties"]


def test_page_unless_told_otherwise(cli: Cli) -> None:
    cli.scan("--out", cli.out)
    assert written(cli) == {"report.html"}


def test_demo_and_adapt(cli: Cli) -> None:
    assert cli.run("demo", "--out", cli.out, "--report", "markdown").exit_code == 1
    assert written(cli) == {"report.md"}
    again = cli.folder / "again"
    cli.run("adapt", cli.model, cli.data, "--data", cli.data, "--repair", cli.out, "--out", again,
            "--report", "sarif")  # fmt: skip
    assert (again / "report.sarif").is_file()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--report", "pdf"], "--report: expected a report of html, json"),
        (["--report", ""], "got ''"),
        (["--report", "sarif,"], "got ''"),
    ],
)
def test_nonsense_is_refused_before_the_work(cli: Cli, given: list[str], told: str) -> None:
    result = cli.scan("--out", cli.out, *given)
    assert result.exit_code in (3, 4)
    assert told in " ".join(result.stderr.split())
    assert cli.calls == []
    assert not cli.out.exists()


def test_report_needs_a_folder(cli: Cli) -> None:
    result = cli.scan("--report", "sarif")
    assert result.exit_code in (3, 4)
    assert "expected --out DIR" in result.stderr
    assert cli.calls == []


def test_missing_library(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "find_spec", lambda name: None)
    result = cli.scan("--out", cli.out, "--report", "cyclonedx", "--exit-zero")
    assert result.exit_code in (3, 4)
    assert "pip install '.[cyclonedx]'" in " ".join(result.stderr.split())
    assert cli.calls == []


CODES = {
    "backdoored": {"": 1, "--fail-on=inconclusive": 1, "--fail-on=backdoored": 1, "--exit-zero": 0},
    "clean": {"": 0, "--fail-on=inconclusive": 0, "--fail-on=backdoored": 0, "--exit-zero": 0},
    "inconclusive": {
        "": 2,
        "--fail-on=inconclusive": 2,
        "--fail-on=backdoored": 0,
        "--exit-zero": 0,
    },
}


@pytest.mark.parametrize("verdict", ["backdoored", "clean", "inconclusive"])
def test_exit_codes(cli: Cli, verdict: Verdict) -> None:
    cli.report = make_report(verdict)
    cli.fixed = dataclasses.replace(cli.fixed, verdict=verdict)
    for option, code in CODES[verdict].items():
        given = [option] if option else []
        assert cli.scan(*given).exit_code == code
        assert cli.repair("--report=markdown", *given).exit_code == code


def test_errors_fail_whatever_is_asked(cli: Cli) -> None:
    result = cli.run("scan", "nowhere.toml", "--data", cli.data, "--exit-zero")
    assert result.exit_code in (3, 4)
    assert cli.scan("--fail-on", "never").exit_code in (3, 4)


def test_hash_of_the_weight_file(cli: Cli) -> None:
    cli.scan("--out", cli.out, "--report", "json")
    document = json.loads((cli.out / "report.json").read_text())
    weights = (Path(cli.model).parent / "weights.safetensors").read_bytes()
    assert document["examined"]["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert document["scan"]["verdict"] == "backdoored"
    assert document["repair"] is None


def test_schema(cli: Cli) -> None:
    result = cli.run("schema", "scan")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["$id"] == "urn:undoor:scan:6"
    assert cli.run("schema", "scan", "--json").stdout == result.stdout
    wrong = cli.run("schema", "scam")
    assert wrong.exit_code in (3, 4)
    assert "expected a document, scan, repair" in wrong.stderr
