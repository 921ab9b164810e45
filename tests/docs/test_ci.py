"""docs/ci.md: its workflow is YAML, its commands exist, its files are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from helpers.cli_fakes import Cli, make_report
from undoor.cli import app
from undoor.render.reports import REPORTS
from undoor.vocabulary import Verdict

TEXT = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


def steps() -> list[dict[str, Any]]:
    (block,) = blocks("yaml")
    found = yaml.safe_load(block)["jobs"]["scan"]["steps"]
    assert isinstance(found, list)
    return found


def commands() -> list[list[str]]:
    lines = [step["run"] for step in steps() if "run" in step]
    lines += [line[2:] for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("undoor ")]


def test_workflow() -> None:
    (block,) = blocks("yaml")
    workflow = yaml.safe_load(block)
    assert workflow["permissions"]["security-events"] == "write"
    assert all(("run" in step) != ("uses" in step) for step in steps())


def test_there_are_commands() -> None:
    assert len(commands()) == 3


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_options_exist(arguments: list[str]) -> None:
    """Parsed as on the command line, without running anything; unknown options raise."""
    group: Any = get_command(app)
    given = group.commands[arguments[0]].make_context(arguments[0], arguments[1:]).params
    assert given["report"]


def test_a_wrong_option_would_be_seen() -> None:
    command: Any = get_command(app).commands["scan"]  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="No such option"):
        command.make_context("scan", ["m", "--data", "d", "--reports", "sarif"])


def test_files_that_the_steps_read_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli = Cli(tmp_path, monkeypatch)
    scan = commands()[0]
    result = cli.run("scan", cli.model, "--data", cli.data, *scan[scan.index("--out") :])
    assert result.exit_code == 1
    read = set(re.findall(r"scan/[\w.]+\w", blocks("yaml")[0]))
    assert len(read) == 3
    assert all((tmp_path / file).is_file() for file in read)


def test_table_of_formats() -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| `([\w.-]+)` \|", TEXT, re.MULTILINE))
    assert rows == {name: report.file for name, report in REPORTS.items()}


@pytest.mark.parametrize("verdict", ["backdoored", "inconclusive"])
def test_table_of_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: Verdict) -> None:
    cli = Cli(tmp_path, monkeypatch)
    cli.report = make_report(verdict)
    rows = re.findall(r"^\| (.+) \| (\d) \| (\d) \| (\d) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 3
    for options, backdoored, inconclusive, _ in rows:
        given = shlex.split(re.findall(r"`(.+)`", options)[-1])
        code = backdoored if verdict == "backdoored" else inconclusive
        assert cli.scan(*given).exit_code == int(code)
