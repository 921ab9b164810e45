"""SARIF 2.1.0 (OASIS), which code-scanning dashboards read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from undoor.files import as_json
from undoor.render import coverage, sanitise, text
from undoor.render.nouns import noun_of
from undoor.render.subject import Subject, version
from undoor.scan.report import Finding, ScanReport

if TYPE_CHECKING:
    from undoor.repair import Repair, TargetRepair

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
BACKDOOR, DOUBT = "UNDOOR001", "UNDOOR002"
# Name, meaning, advice, level, and the severity from 0 to 10 that GitHub sorts by.
RULES = {
    BACKDOOR: (
        "BackdoorTarget",
        "A class is the target of a backdoor",
        "A small trigger turns inputs of other classes into this class, far smaller than for any "
        "other class. Do not deploy the model; close the backdoor with `undoor repair`, or train "
        "it anew on data that you trust.",
        "error",
        "9.0",
    ),
    DOUBT: (
        "Inconclusive",
        "The scan could not determine whether the model is backdoored",
        "There was too little to judge by, the budget ended, or a class stands out but not far "
        "enough. Scan again with more clean inputs or without a budget.",
        "warning",
        "5.0",
    ),
}


def sarif(scan: ScanReport, subject: Subject, repair: Repair | None = None) -> str:
    """Return SARIF with one result per suspected target, or one for an inconclusive scan.

    There is no result where the verdict is clean. Fingerprints depend on the model and the target
    alone. A repaired target stays a result, since the weights still hold the backdoor; its message
    states the effect of the repair.
    """
    if scan.verdict == "inconclusive":
        reasons = "; ".join(map(text.plain, coverage.reasons(scan)))
        results = [_result(DOUBT, f"Inconclusive: {reasons}.", scan, subject, "inconclusive", {})]
    else:
        fixed = {item.target: item for item in (repair.targets if repair else ())}
        results = [_finding(item, scan, subject, fixed.get(item.target)) for item in scan.findings]
    run = {
        "tool": {
            "driver": {
                "name": "undoor",
                "version": version(),
                "rules": [rule(identifier, facts) for identifier, facts in RULES.items()],
            }
        },
        "invocations": [{"executionSuccessful": True}],
        "artifacts": [_artifact(subject)],
        "results": results,
        "properties": {"verdict": scan.verdict, "modelSha256": scan.fingerprint},
    }
    return as_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _artifact(subject: Subject) -> dict[str, Any]:
    artifact: dict[str, Any] = {"location": {"uri": subject.uri}}
    if subject.weights_sha256:
        artifact["properties"] = {"weightsSha256": subject.weights_sha256}
    return artifact


def rule(identifier: str, facts: tuple[str, str, str, str, str]) -> dict[str, Any]:
    """Return a rule as SARIF has it, from what `RULES` holds of one."""
    name, short, full, level, severity = facts
    return {
        "id": identifier,
        "name": name,
        "shortDescription": {"text": short},
        "fullDescription": {"text": full},
        "help": {"text": full},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["security"], "security-severity": severity},
    }


def _finding(
    finding: Finding, scan: ScanReport, subject: Subject, fixed: TargetRepair | None
) -> dict[str, Any]:
    names, many = scan.class_names, noun_of(scan).many
    message = (
        f"Class {text.class_label(finding.target, names)} is the target of a backdoor: a "
        f"{finding.family} trigger of size {finding.size:.3g} turns {many} of "
        f"{text.sources_label(finding.sources, names)} into it "
        f"({text.percent(finding.asr_on_clean_set)} of held-out {many}, "
        f"{text.p_equals(finding.p_value)})."
    )
    facts = finding.to_json()
    if fixed is not None:
        facts["repair"] = {"asr": fixed.asr, "sia": fixed.sia, "fpr": fixed.fpr}
        message += f" Served with its repair, {text.percent(fixed.asr)} are still turned into it."
    return _result(BACKDOOR, message, scan, subject, f"target {finding.target}", facts)


def _result(
    rule: str, message: str, scan: ScanReport, subject: Subject, what: str, facts: dict[str, Any]
) -> dict[str, Any]:
    # Dashboards show nothing without a line, though weights have none.
    place = {
        "artifactLocation": {"uri": subject.uri, "index": 0},
        "region": {"startLine": 1},
    }
    return {
        "ruleId": rule,
        "ruleIndex": list(RULES).index(rule),
        "level": RULES[rule][3],
        "message": {"text": sanitise.sarif(message)},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": fingerprints(f"{scan.fingerprint}/{what}"),
        "properties": facts,
    }


def fingerprints(what: str) -> dict[str, str]:
    """Return the fingerprints of a result: the same from run to run."""
    identity = hashlib.sha256(what.encode()).hexdigest()
    # GitHub compares the name that it would give to a hash of the line's text.
    return {"undoor/v1": identity, "primaryLocationLineHash": identity}
