"""CycloneDX 1.6, a machine-learning bill of materials.

The model is a component with its hash; the verdict stands in its properties and in the
considerations of its model card.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from undoor.errors import UndoorError
from undoor.extras import how_to_install
from undoor.files import as_json
from undoor.render import coverage, text
from undoor.render.nouns import noun_of
from undoor.render.subject import Subject, version
from undoor.render.summary import summarise
from undoor.scan.report import Finding, ScanReport

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.vulnerability import Vulnerability

    from undoor.repair import Repair

PREFIX = "undoor"
MODEL_REF = "model"
# As the Common Weakness Enumeration counts a backdoor: CWE-506.
EMBEDDED_MALICIOUS_CODE = 506


def cyclonedx(scan: ScanReport, subject: Subject, repair: Repair | None = None) -> str:
    """Return a bill with one component.

    The same results give the same text: it has no date, and its serial number follows from the
    results. Where the weights are one file, its hash is that of the component; the hash that
    repairs are bound to is a property.

    Raises
    ------
    UndoorError
        The library cyclonedx-python-lib is not installed.
    """
    try:
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError:
        raise UndoorError(
            f"a CycloneDX report needs cyclonedx-python-lib; {how_to_install('cyclonedx')}"
        ) from None
    bill = JsonV1Dot6(_bill(scan, subject, repair)).output_as_string()
    document: dict[str, Any] = json.loads(bill)
    # The library has no model cards yet.
    document["components"][0]["modelCard"] = _model_card(scan, subject, repair)
    return as_json(document)


def _bill(scan: ScanReport, subject: Subject, repair: Repair | None) -> Bom:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType

    tool = Component(type=ComponentType.APPLICATION, name="undoor", version=version())
    facts = _facts(scan, repair)
    identity = json.dumps([subject.model, subject.weights_sha256, facts], sort_keys=True)
    model = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=text.plain(subject.model),
        bom_ref=MODEL_REF,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=subject.weights_sha256)]
        if subject.weights_sha256
        else [],
        properties=[Property(name=f"{PREFIX}:{name}", value=value) for name, value in facts],
    )
    bill = Bom(components=[model], serial_number=uuid.uuid5(uuid.NAMESPACE_OID, identity))
    for item in scan.findings:
        bill.vulnerabilities.add(_vulnerability(item, scan, repair))
    bill.metadata.timestamp = None  # type: ignore[assignment]
    bill.metadata.tools.components.add(tool)
    return bill


def _vulnerability(finding: Finding, scan: ScanReport, repair: Repair | None) -> Vulnerability:
    """Return the vulnerability of a target: the weights stay exploitable even with a repair."""
    from cyclonedx.model.impact_analysis import ImpactAnalysisResponse, ImpactAnalysisState
    from cyclonedx.model.vulnerability import (
        BomTarget,
        Vulnerability,
        VulnerabilityAnalysis,
        VulnerabilitySource,
    )

    fixed = {item.target: item for item in (repair.targets if repair else ())}.get(finding.target)
    label = text.class_label(finding.target, scan.class_names)
    sources = text.sources_label(finding.sources, scan.class_names)
    name = f"{PREFIX}-{scan.fingerprint[:12]}-target-{finding.target}"
    many = noun_of(scan).many
    return Vulnerability(
        bom_ref=name,
        id=name,
        source=VulnerabilitySource(name=PREFIX),
        cwes=[EMBEDDED_MALICIOUS_CODE],
        description=f"Backdoor with target class {label}: a {text.plain(finding.family)} trigger "
        f"turns {many} of {sources} into it ({text.percent(finding.asr_on_clean_set)} of held-out "
        f"{many}, {text.p_equals(finding.p_value)}).",
        recommendation="Do not deploy the weights alone; close the backdoor with `undoor repair`, "
        "or train the model anew on data that you trust.",
        analysis=VulnerabilityAnalysis(
            state=ImpactAnalysisState.EXPLOITABLE,
            responses=[ImpactAnalysisResponse.WORKAROUND_AVAILABLE] if fixed else [],
            detail=f"Served with its repair, {text.percent(fixed.asr)} of {many} with the "
            "recovered trigger are still turned into the target."
            if fixed
            else "Nothing was repaired.",
        ),
        affects=[BomTarget(ref=MODEL_REF)],
    )


def _facts(scan: ScanReport, repair: Repair | None) -> list[tuple[str, str]]:
    facts = [
        ("verdict", scan.verdict),
        ("model_sha256", scan.fingerprint),
        ("images", str(scan.images)),
        ("seed", str(scan.seed)),
        *(
            (f"reason:{n}", text.plain(reason))
            for n, reason in enumerate(coverage.reasons(scan), 1)
        ),
    ]
    for item in scan.findings:
        name = f"target:{item.target}"
        facts += [
            (f"{name}:class", text.plain(scan.class_names[item.target])),
            (f"{name}:family", text.plain(item.family)),
            (f"{name}:p_value", f"{item.p_value:.6g}"),
            (f"{name}:asr", f"{item.asr_on_clean_set:.6g}"),
        ]
    for fixed in repair.targets if repair else ():
        facts.append((f"target:{fixed.target}:repaired_asr", f"{fixed.asr:.6g}"))
    return facts


def _model_card(scan: ScanReport, subject: Subject, repair: Repair | None) -> dict[str, Any]:
    summary = summarise(scan, repair)
    metrics = [
        {"type": f"backdoor p-value, class {item.target}", "value": f"{item.p_value:.6g}"}
        for item in scan.findings
    ]
    card: dict[str, Any] = {
        "modelParameters": {
            "task": "classification",
            "modelArchitecture": text.plain(subject.network),
        },
        "considerations": {
            "technicalLimitations": [summary.meaning, *summary.how_sure, *summary.remains],
            "ethicalConsiderations": [
                {"name": f"Backdoor: {summary.title.lower()}", "mitigationStrategy": step}
                for step in summary.to_do
            ],
        },
    }
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    return card
