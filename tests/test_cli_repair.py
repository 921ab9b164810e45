"""`undoor repair`"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_fakes import Cli, make_report

from undoor.scan.report import Verdict


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


def test_scans_and_repairs(cli: Cli) -> None:
    result = cli.repair("--fit", "paper", "--seed", 5)
    assert result.exit_code == 1
    assert [name for name, _ in cli.calls] == ["scan", "repair"]
    assert cli.calls[1][1] == {"fit": "paper", "seed": 5}
    assert "entry (position)" in result.stdout
    assert "undoor check" in result.stdout
    files = {"scan.json", "trigger_1.npz", "trigger_1.png", "report.html"}
    files |= {"repair.json", "repair.safetensors"}
    assert {p.name for p in cli.out.iterdir()} == files
    assert "<svg" in (cli.out / "report.html").read_text()


def test_json(cli: Cli) -> None:
    result = cli.repair("--json")
    document = json.loads(result.stdout)
    assert document["schema"] == "undoor/repair/1"
    assert document["seconds"] == {"scan": 1.5, "align": 0.1}
    assert result.stderr == "search triggers ...\nfit corrections ...\n"


@pytest.mark.parametrize(("verdict", "code"), [("clean", 0), ("inconclusive", 2)])
def test_nothing_to_repair(cli: Cli, verdict: Verdict, code: int) -> None:
    cli.report = make_report(verdict)
    result = cli.repair()
    assert result.exit_code == code
    assert "Nothing to repair" in result.stdout
    assert "undoor check" not in result.stdout


def test_uses_an_earlier_scan(cli: Cli) -> None:
    cli.scan("--out", cli.folder / "scan")
    cli.calls.clear()
    assert cli.repair("--scan", cli.folder / "scan").exit_code == 1
    assert [name for name, _ in cli.calls] == ["repair"]


def test_refuses_the_scan_of_another_model(cli: Cli) -> None:
    scanned = cli.folder / "scan"
    cli.scan("--out", scanned)
    cli.calls.clear()
    result = cli.repair("--scan", scanned, "--scale", 2, "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "the scan of another model" in result.stderr
    assert result.stderr.count("\n") == 1
    assert cli.calls == []
    assert not cli.out.exists()


def test_no_scan_there(cli: Cli) -> None:
    result = cli.repair("--scan", cli.folder)
    assert result.exit_code == 2
    assert "expected the --out folder of `undoor scan`" in result.stderr
