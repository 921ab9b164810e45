"""CycloneDX: valid by the library's own schema, the same for the same results."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from helpers.cli_fakes import make_report
from helpers.render_work import SUBJECT, VERDICTS, fixed, hostile, hostile_subject
from undoor.errors import UndoorError
from undoor.render.cyclonedx import cyclonedx
from undoor.vocabulary import Verdict


def read(text: str) -> dict[str, Any]:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    (component,) = json.loads(text)["components"]
    return component


def facts(component: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in component["properties"]}


def test_schema_is_strict() -> None:
    wrong = cyclonedx(make_report(), SUBJECT).replace('"modelCard"', '"modelCart"')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(wrong) is not None


@pytest.mark.parametrize("verdict", VERDICTS)
def test_valid(verdict: Verdict) -> None:
    for report, subject in ((make_report(verdict), SUBJECT), (hostile(verdict), hostile_subject())):
        component = read(cyclonedx(report, subject))
        assert component["type"] == "machine-learning-model"
        assert facts(component)["undoor:verdict"] == verdict
        assert component["modelCard"]["considerations"]["technicalLimitations"]


def test_findings_and_repair() -> None:
    told = facts(read(cyclonedx(make_report(), SUBJECT, fixed())))
    assert told["undoor:target:1:class"] == "yield"
    assert told["undoor:target:1:p_value"] == "1e-09"
    assert told["undoor:target:1:repaired_asr"] == "0.01"
    assert told["undoor:reason:1"] == "because of the tests"


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_backdoor_is_a_vulnerability(verdict: Verdict) -> None:
    """Of a backdoored model one for each target, which stays exploitable beside a repair."""
    alone = json.loads(cyclonedx(make_report(verdict), SUBJECT)).get("vulnerabilities", [])
    assert len(alone) == (1 if verdict == "backdoored" else 0)
    for item in alone:
        assert item["id"].startswith("undoor-000000000000-target-1")
        assert item["affects"] == [{"ref": "model"}]
        assert "target class 1 yield" in item["description"]
        assert item["analysis"]["state"] == "exploitable"
        assert "response" not in item["analysis"]
    if verdict == "backdoored":
        bill = cyclonedx(make_report(verdict), SUBJECT, fixed())
        read(bill)
        (item,) = json.loads(bill)["vulnerabilities"]
        assert item["analysis"]["response"] == ["workaround_available"]
        assert "1.0 % of images" in item["analysis"]["detail"]


def test_hash_is_that_of_the_file() -> None:
    """The hash that repairs are bound to is no file's, so it is a property."""
    assert "hashes" not in read(cyclonedx(make_report(), SUBJECT))
    component = read(cyclonedx(make_report(), replace(SUBJECT, weights_sha256="ab" * 32)))
    assert component["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert facts(component)["undoor:model_sha256"] == "0" * 64


def test_same_results_same_bill() -> None:
    first = cyclonedx(make_report(), SUBJECT)
    assert cyclonedx(make_report(), SUBJECT) == first
    other = json.loads(cyclonedx(make_report("clean"), SUBJECT))
    assert other["serialNumber"] != json.loads(first)["serialNumber"]


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cyclonedx.output.json", None)
    with pytest.raises(UndoorError, match=r"pip install '\.\[cyclonedx\]'"):
        cyclonedx(make_report(), SUBJECT)
