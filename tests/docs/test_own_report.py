"""docs/own-report.md, as somebody would copy it: its report is written by the command line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.added_package import Package, forget
from helpers.cli_fakes import NAMES, Cli
from helpers.render_work import hostile, hostile_subject
from undoor.render.reports import reports
from undoor.render.results import Results

GUIDE = (Path(__file__).parents[2] / "docs" / "own-report.md").read_text(encoding="utf-8")


@pytest.fixture
def guided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    (code,) = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (toml,) = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert code.count("\n") <= 45
    group, name, record = re.findall(
        r'entry-points\."([\w.]+)"\]\n(\w+) = "my_package\.evidence:(\w+)"', toml
    )[0]
    (tmp_path / "guided_evidence.py").write_text(code)
    package = Package(tmp_path, monkeypatch)
    package.declares(group, **{name: f"guided_evidence:{record}"})
    yield package
    monkeypatch.undo()
    forget()


def test_it_is_written(guided: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(guided.folder, monkeypatch)
    assert cli.repair("--report", "evidence").exit_code == 1
    with (cli.out / "evidence.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(cli.report.evidence)
    assert {row["target"] for row in rows} == set(NAMES)
    values = [float(row["p_value"]) for row in rows]
    assert values == sorted(values)
    assert {row["target"] for row in rows if row["repaired"] == "True"} == {NAMES[1]}


@pytest.mark.usefixtures("guided")
def test_names_of_strangers_are_no_formulas() -> None:
    text = reports()["evidence"].render(Results(hostile("backdoored"), hostile_subject()))
    assert "\x1b" not in text
