"""The published JSON Schemas, held against what the commands really give."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from helpers.cli_fakes import Cli, FakeEvaluation, make_report
from helpers.render_work import SUBJECT, VERDICTS
from helpers.tiny import clean_images, toy_classifier
from undoor.cli import check, error_document, estimate
from undoor.cli import demo as demo_command
from undoor.errors import UndoorError
from undoor.evaluate import SCHEMA as EVALUATION
from undoor.evaluate import evaluate
from undoor.families.calibration import SCHEMA as CALIBRATION
from undoor.fleet.fleet import SCHEMA as FLEET
from undoor.guard import guard
from undoor.inspect.result import SCHEMA as INSPECTION
from undoor.rate import rates_to_json
from undoor.render import report_json
from undoor.render.documents import DOCUMENTS, json_schema
from undoor.repair import Repair
from undoor.repairs import record as repair_result
from undoor.repairs.adaptation import Adaptation
from undoor.scan.report import ScanReport
from undoor.scan.schemas import SCHEMA as SCAN
from undoor.vocabulary import Verdict


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def validate(name: str, document: Any) -> None:
    """As a reader gets it, not as Python has it."""
    validator(name).validate(json.loads(json.dumps(document, allow_nan=False)))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schemas_are_schemas(name: str) -> None:
    schema = json_schema(name)
    validator(name)
    assert schema["additionalProperties"] is False
    assert schema["$id"] == f"urn:{schema['properties']['schema']['const'].replace('/', ':')}"
    assert not validator(name).is_valid({})


def test_versions_are_those_that_are_written() -> None:
    written = {
        "scan": SCAN,
        "repair": repair_result.SCHEMA,
        "check": check.SCHEMA,
        "evaluation": EVALUATION,
        "demo": demo_command.SCHEMA,
        "report": report_json.SCHEMA,
        "inspection": INSPECTION,
        "estimate": estimate.SCHEMA,
        "calibration": CALIBRATION,
        "fleet": FLEET,
        "error": error_document.SCHEMA,
    }
    assert {n: json_schema(n)["properties"]["schema"]["const"] for n in DOCUMENTS} == written


def test_unknown_document() -> None:
    with pytest.raises(UndoorError, match=r"expected a document, scan, repair, .*got 'x'"):
        json_schema("x")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_scan_of_every_verdict(verdict: Verdict) -> None:
    validate("scan", make_report(verdict).to_json())


def test_real_results(toy_report: ScanReport, toy_repair: Repair) -> None:
    """Of the toy network: a scan, its repair, an evaluation, and all of them in one document."""
    classifier, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    trigger = toy_report.findings[0].trigger
    stamped = replace(clean, images=trigger(clean.images))
    guarded = guard(classifier, toy_repair)
    measured = evaluate(classifier, guarded, clean, stamped, toy_report.findings[0].target)
    validate("scan", toy_report.to_json())
    validate("repair", toy_repair.to_json())
    validate("evaluation", measured.to_json())
    told = report_json.report_json(toy_report, SUBJECT, toy_repair, measured)
    validator("report").validate(json.loads(told))
    both = {"scan": toy_report.to_json(), "repair": toy_repair.to_json()}
    validate("demo", {"schema": demo_command.SCHEMA, **both, "evaluation": measured.to_json()})


def test_adapted_repair(toy_repair: Repair) -> None:
    target = replace(toy_repair.targets[0], adapted=Adaptation(9, 3, 20), sia=None)
    validate("repair", replace(toy_repair, targets=(target,)).to_json())


def test_rates_of_nothing() -> None:
    measured = FakeEvaluation()
    assert measured.after["fpr_target"].value is None
    validate(
        "evaluation",
        {
            "schema": EVALUATION,
            "target": 1,
            "before": rates_to_json(measured.before),  # type: ignore[arg-type]
            "after": rates_to_json(measured.after),  # type: ignore[arg-type]
            "n": measured.n,
        },
    )


@pytest.mark.parametrize("policy", ["relabel", "reject", "flag"])
def test_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
    cli = Cli(tmp_path, monkeypatch)
    cli.repair()
    told = cli.run(
        "check", cli.model, "--repair", cli.out, cli.data, "--policy", policy, "--json"
    ).stdout
    validator("check").validate(json.loads(told))


@pytest.mark.parametrize(
    ("key", "value"),
    [("verdict", "perhaps"), ("images", -1), ("model_sha256", "x"), ("extra", 1), ("seed", 0.5)],
)
def test_what_is_wrong_does_not_validate(key: str, value: Any) -> None:
    document = make_report().to_json()
    validate("scan", document)
    with pytest.raises(jsonschema.ValidationError):
        validate("scan", {**document, key: value})


def test_what_is_missing_does_not_validate() -> None:
    document = make_report().to_json()
    optional = {"device", "goals"}  # Versions before did not write them.
    for key in document.keys() - optional:
        with pytest.raises(jsonschema.ValidationError):
            validate("scan", {k: v for k, v in document.items() if k != key})
