"""JUnit and SARIF over all models of a fleet, put together from the reports of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from undoor.files import as_json
from undoor.fleet.entry import FleetEntry
from undoor.fleet.fleet import Fleet
from undoor.render import sarif, text
from undoor.render.reports import REPORTS
from undoor.render.sanitise import sarif as sarif_text
from undoor.render.sanitise import xml
from undoor.render.subject import uri_of, version

FAILED = "UNDOOR003"
FAILED_RULE = (
    "NotExamined",
    "A model of the fleet could not be examined",
    "The model was refused, damaged, or its examination was lost. Nothing is known about it: do "
    "not deploy it before it was examined.",
    "error",
    "7.0",
)


def fleet_junit(fleet: Fleet, folder: Path) -> str:
    """Return JUnit XML with one suite for each model; an error where there is no result.

    Parameters
    ----------
    fleet
        The result of the fleet, done.
    folder
        Its folder, with the report of each model.
    """
    root = ElementTree.Element("testsuites")
    for entry in fleet.entries:
        own = _suite(entry, folder)
        own.set("name", xml(text.plain(entry.name)))
        root.append(own)
    if not fleet.entries:
        ElementTree.SubElement(root, "testsuite", _counts(0) | {"name": "no models"})
    ElementTree.indent(root)
    written: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{written}\n'


def _suite(entry: FleetEntry, folder: Path) -> ElementTree.Element:
    """Return the suite of a model, as its own report has it."""
    if entry.folder is not None and entry.problem is None:
        file = folder / entry.folder / REPORTS["junit"].file
        suite = ElementTree.fromstring(file.read_text(encoding="utf-8")).find("testsuite")
        assert suite is not None
        return suite
    suite = ElementTree.Element("testsuite", _counts(1))
    facts = {"classname": xml(text.plain(entry.model)), "name": "the model is examined"}
    case = ElementTree.SubElement(suite, "testcase", facts | {"time": "0.000"})
    message = xml(_problem(entry))
    ElementTree.SubElement(case, "error", {"type": entry.state, "message": message})
    return suite


def _counts(errors: int) -> dict[str, str]:
    """Return the attributes of a suite whose cases are all errors."""
    number = str(errors)
    return {"time": "0.000", "tests": number, "failures": "0", "errors": number, "skipped": "0"}


def fleet_sarif(fleet: Fleet, folder: Path) -> str:
    """Return SARIF with the results of all models in one run, as dashboards bound their number.

    Parameters
    ----------
    fleet, folder
        As of `fleet_junit`.
    """
    artifacts: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for entry in fleet.entries:
        artifact, own = _run(entry, folder)
        # Models of the same bytes share a report, and each is one of its own here.
        artifact["location"]["uri"] = uri_of(entry.model)
        if artifact not in artifacts:
            artifacts.append(artifact)
        for result in own:
            place = result["locations"][0]["physicalLocation"]["artifactLocation"]
            place.update(uri=uri_of(entry.model), index=artifacts.index(artifact))
            if result not in results:
                results.append(result)
    rules = {**sarif.RULES, FAILED: FAILED_RULE}
    run = {
        "tool": {
            "driver": {
                "name": "undoor",
                "version": version(),
                "rules": [sarif.rule(name, rules[name]) for name in rules],
            }
        },
        "invocations": [{"executionSuccessful": not fleet.counts["failed"]}],
        "artifacts": artifacts,
        "results": results,
        "properties": {"counts": fleet.counts},
    }
    return as_json({"$schema": sarif.SCHEMA, "version": "2.1.0", "runs": [run]})


def _run(entry: FleetEntry, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the artifact and the results of a model, as its own report has them."""
    if entry.folder is not None and entry.problem is None:
        file = folder / entry.folder / REPORTS["sarif"].file
        run = json.loads(file.read_text(encoding="utf-8"))["runs"][0]
        return run["artifacts"][0], run["results"]
    uri = uri_of(entry.model)
    place = {"artifactLocation": {"uri": uri, "index": 0}, "region": {"startLine": 1}}
    result = {
        "ruleId": FAILED,
        "ruleIndex": len(sarif.RULES),
        "level": FAILED_RULE[3],
        "message": {"text": sarif_text(f"{entry.name}: {_problem(entry)}.")},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": sarif.fingerprints(f"{entry.model}/not examined"),
    }
    return {"location": {"uri": uri}}, [result]


def _problem(entry: FleetEntry) -> str:
    if entry.problem is None:
        return "not examined yet"
    return text.plain(f"{entry.problem.message}; {entry.problem.what_to_do}")
