"""docs/own-report.md, as somebody would copy it: its report is written by the command line."""

from __future__ import annotations

import csv

import pytest

from helpers.cli_fakes import NAMES, Cli
from helpers.installed_package import Package
from helpers.render_work import hostile, hostile_subject
from undoor.render.reports import reports
from undoor.render.results import Results


@pytest.fixture
def guided(package: Package) -> Package:
    package.declares_example("own-report.md", "guided_evidence")
    return package


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
