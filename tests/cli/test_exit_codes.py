"""Each kind of failure has its own exit code; docs and help have the same numbers."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.cli_fakes import Cli, assert_error, make_report
from undoor.cli.exit_codes import MEANINGS, ExitCode
from undoor.errors import BudgetEnded
from undoor.render.repair_notes import poor_note
from undoor.vocabulary import Cause

DOCS = Path(__file__).parents[2] / "docs" / "exit-codes.md"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


def test_the_docs_have_the_same_numbers() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", DOCS.read_text(), re.MULTILINE)
    assert rows == [(str(c.value), c.name.lower(), MEANINGS[c]) for c in ExitCode]


def test_the_help_has_the_same_numbers(cli: Cli) -> None:
    told = " ".join(cli.run("--help").stdout.split())
    for code in ExitCode:
        assert f"{code.value} {MEANINGS[code][:20]}" in told


@pytest.mark.parametrize(
    "wrong",
    [
        ["--no-such-option"],
        ["--per-class", "many"],
        ["--max-passes", "0"],
        ["--memory", "much"],
        ["--input-shape", "3,x"],
        ["--report", "pdf"],
        ["--fail-on", "never"],
        ["--accept-coverage", "x"],
        ["--seed=a"],
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_usage(cli: Cli, wrong: list[str], as_json: bool) -> None:
    result = cli.scan("--out", cli.out, *wrong, *(["--json"] if as_json else []))
    assert result.exit_code == ExitCode.USAGE
    if wrong[0] != "--no-such-option":
        # In our words, not in those of the parser.
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"undoor: error: {wrong[0].partition('=')[0]}: expected ")
    if not as_json:
        assert result.stdout == ""
    else:
        assert '"schema": "undoor/error/2"' in result.stdout
        assert '"code": 3' in result.stdout
    assert cli.calls == []


def test_failure(cli: Cli) -> None:
    cli.data = str(cli.folder / "nowhere")
    result = cli.scan("--json")
    assert result.exit_code == ExitCode.FAILURE
    assert_error(result)


def test_an_ended_budget_of_a_repair(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object, **__: object) -> None:
        raise BudgetEnded(10, 1)

    monkeypatch.setattr(sys.modules["undoor.repair"], "repair", ended)
    result = cli.repair("--max-passes", 10, "--json", "--exit-zero")
    assert result.exit_code == ExitCode.BUDGET_ENDED
    assert_error(result)
    assert "the same command with a larger --max-passes or --max-seconds" in result.stderr
    assert not (cli.out / "repair.safetensors").exists()


def test_an_ended_budget_counts_the_scan_before_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the same command spent; of a scan that was read, nothing."""

    def ended(*_: object, **__: object) -> None:
        raise BudgetEnded(10, 1)

    monkeypatch.setattr(sys.modules["undoor.repair"], "repair", ended)
    # The scan took 1,234 passes and 1.5 s.
    assert "after 1,244 sample passes and 2 s; " in cli.repair("--max-passes", 1244).stderr
    cli.scan("--out", cli.folder / "scan")
    again = cli.repair("--scan", cli.folder / "scan", "--max-passes", 10)
    assert "after 10 sample passes and 1 s; " in again.stderr


def test_a_poor_repair_is_loud(cli: Cli) -> None:
    poor = tuple(dataclasses.replace(item, sia=0.31) for item in cli.fixed.targets)
    cli.fixed = dataclasses.replace(cli.fixed, targets=poor)
    result = cli.repair("--json")
    assert result.exit_code == ExitCode.POOR_REPAIR
    assert "WARNING: POOR REPAIR of" in result.stderr
    assert cli.repair("--exit-zero").exit_code == 0
    assert "POOR REPAIR" in " ".join(cli.repair().stdout.split())
    assert "31 %" in poor_note(0.31, "1 yield")


def test_check_is_not_0_when_an_input_could_not_be_read(cli: Cli) -> None:
    good, bad = cli.folder / "good.npz", cli.folder / "bad.png"
    np.savez(good, x=np.zeros((2, 4, 4, 3), np.uint8))
    bad.write_bytes(b"not a picture")
    assert cli.repair().exit_code == 1
    arguments = ("check", cli.model, "--repair", cli.out, "--json", good)
    result = cli.run(*arguments)
    assert result.exit_code in (ExitCode.CLEAN, ExitCode.BACKDOORED), result.stderr
    with_bad = cli.run(*arguments, bad)
    expected = ExitCode.INCONCLUSIVE if result.exit_code == 0 else ExitCode.BACKDOORED
    assert with_bad.exit_code == expected
    assert str(bad) in with_bad.stdout


@pytest.mark.parametrize(
    ("cause", "told"),
    [("budget", "undoor scan"), ("labels", "undoor inspect"), (None, "undoor repair")],
)
def test_the_next_command_follows_from_the_cause(cli: Cli, cause: Cause | None, told: str) -> None:
    report = make_report("inconclusive")
    cli.report = dataclasses.replace(report, causes=(cause,) if cause else (), findings=())
    said = cli.scan("--out", cli.out).stdout
    following = said[said.index("Next:") :]
    assert told in following
    assert ("--suspects 2" in following) == (cause is None)


def test_a_scan_whose_budget_ended_is_kept(cli: Cli) -> None:
    cli.report = dataclasses.replace(make_report("inconclusive"), causes=("budget",), findings=())
    assert cli.scan("--out", cli.out, "--max-passes", 5).exit_code == ExitCode.INCONCLUSIVE
    assert (cli.out / ".undoor-run" / "budget-ended").exists()
    cli.report = make_report("clean")
    assert cli.scan("--out", cli.out).exit_code == 0
    assert not (cli.out / ".undoor-run").exists()
