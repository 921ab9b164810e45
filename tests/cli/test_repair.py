"""`undoor repair`"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.cli_fakes import Cli, FakeRepair, FakeTarget, assert_error, make_report
from undoor.align.guard_threshold import GuardThreshold
from undoor.rate import Rate
from undoor.vocabulary import DEFAULT_FPR, Verdict


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


def test_scans_and_repairs(cli: Cli) -> None:
    result = cli.repair("--fit", "paper", "--seed", 5)
    assert result.exit_code == 1
    assert [name for name, _ in cli.calls] == ["scan", "repair"]
    assert cli.calls[1][1] == {
        "fit": "paper",
        "fpr": DEFAULT_FPR,
        "force_targets": [],
        "suspects": 0,
        "quick": False,
        "seed": 5,
    }
    assert "entry (position)" in result.stdout
    assert "undoor check" in result.stdout
    files = {"scan.json", "trigger_1.npz", "trigger_1.png", "report.html"}
    files |= {"repair.json", "repair.safetensors"}
    assert {p.name for p in cli.out.iterdir()} == files
    assert "<svg" in (cli.out / "report.html").read_text()


def test_json(cli: Cli) -> None:
    result = cli.repair("--json")
    document = json.loads(result.stdout)
    assert document["schema"] == "undoor/repair/2"
    assert document["seconds"] == {"scan": 1.5, "align": 0.1}
    assert result.stderr == "search triggers ...\nfit corrections ...\n"


def test_wanted_rate(cli: Cli) -> None:
    assert cli.repair("--fpr", 0.05).exit_code == 1
    assert cli.calls[1][1]["fpr"] == 0.05


def test_targets_that_the_user_suspects(cli: Cli) -> None:
    cli.repair("--force-target", "go", "--force-target", 0)
    assert cli.calls[1][1]["force_targets"] == [2, 0]
    cli.repair("--suspects", 2)
    assert cli.calls[3][1]["suspects"] == 2


def test_quick(cli: Cli) -> None:
    assert cli.repair("--quick").exit_code == 1
    assert cli.calls[1][1]["quick"]


@pytest.mark.parametrize("quick", [True, False])
def test_a_quick_repair_says_so(cli: Cli, quick: bool) -> None:
    cli.fixed = FakeRepair(targets=(FakeTarget(quick=quick),))
    assert ("repaired quickly; without --quick more is" in cli.repair().stdout) == quick


@pytest.mark.parametrize("name", ["3", "-1", "halt", ""])
def test_targets_must_be_classes(cli: Cli, name: str) -> None:
    """Refused before the scan."""
    result = cli.repair(f"--force-target={name}")
    assert result.exit_code in (3, 4)
    assert "--force-target: expected a class of the model" in " ".join(result.stderr.split())
    assert cli.calls == []


@pytest.mark.parametrize("fpr", ["0", "1", "-0.1", "nan", "often"])
def test_wanted_rate_must_be_a_share(cli: Cli, fpr: str) -> None:
    """Refused before the scan."""
    result = cli.repair("--fpr", fpr)
    assert result.exit_code in (3, 4)
    assert result.stdout == ""
    assert "fpr" in result.stderr
    assert cli.calls == []


def test_says_what_so_few_images_can_promise(cli: Cli) -> None:
    told = " ".join(cli.repair().stdout.split())
    assert "of 30 clean images of 1 yield, 0.0 % are flagged (95 %: 0.0 to 11.6)" in told
    assert "a false-positive rate below 3.2 %" in told
    enough = GuardThreshold(0.1, 0.05, Rate(0.0, 0.0, 0.116, 30))
    cli.fixed = FakeRepair(targets=(FakeTarget(calibration=enough),))
    told = " ".join(cli.repair().stdout.split())
    assert "of 30 clean images" in told
    assert "cannot be guaranteed" not in told


def test_says_that_there_was_nothing_to_calibrate_on(cli: Cli) -> None:
    none = GuardThreshold(0.0, 0.05, Rate(None, None, None, 0))
    cli.fixed = FakeRepair(targets=(FakeTarget(calibration=none),))
    told = " ".join(cli.repair().stdout.split())
    assert "no clean image of class 1 yield is predicted as it" in told
    assert "None" not in told


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
    assert result.exit_code in (3, 4)
    assert_error(result)
    assert "the scan of another model" in result.stderr
    assert result.stderr.count("\n") == 1
    assert cli.calls == []
    assert not cli.out.exists()


def test_no_scan_there(cli: Cli) -> None:
    result = cli.repair("--scan", cli.folder)
    assert result.exit_code in (3, 4)
    assert "expected the --out folder of `undoor scan`" in result.stderr
