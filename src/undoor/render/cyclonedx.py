"""CycloneDX 1.6, a machine-learning bill of materials: the model as a component with its hash, the
verdict as properties and as considerations of its model card."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from undoor.errors import UndoorError
from undoor.extras import how_to_install
from undoor.files import as_json
from undoor.render import text
from undoor.render.subject import Subject, version
from undoor.render.summary import summarise
from undoor.scan.report import ScanReport

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom

    from undoor.repair import Repair

PREFIX = "undoor"


def cyclonedx(scan: ScanReport, subject: Subject, repair: Repair | None = None) -> str:
    """A bill with one component. The same results give the same text: it has no date, and its
    serial number follows from the results. The file's hash stands there where the weights are one
    file; the hash that repairs are bound to is a property.

    Raises
    ------
    UndoorError : cyclonedx-python-lib is not installed.
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
        bom_ref="model",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=subject.weights_sha256)]
        if subject.weights_sha256
        else [],
        properties=[Property(name=f"{PREFIX}:{name}", value=value) for name, value in facts],
    )
    bill = Bom(components=[model], serial_number=uuid.uuid5(uuid.NAMESPACE_OID, identity))
    bill.metadata.timestamp = None  # type: ignore[assignment]
    bill.metadata.tools.components.add(tool)
    return bill


def _facts(scan: ScanReport, repair: Repair | None) -> list[tuple[str, str]]:
    facts = [
        ("verdict", scan.verdict),
        ("model_sha256", scan.fingerprint),
        ("images", str(scan.images)),
        ("seed", str(scan.seed)),
        *((f"reason:{n}", text.plain(reason)) for n, reason in enumerate(scan.reasons, 1)),
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
    told = summarise(scan, repair)
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
            "technicalLimitations": [told.meaning, *told.how_sure, *told.remains],
            "ethicalConsiderations": [
                {"name": f"Backdoor: {told.title.lower()}", "mitigationStrategy": step}
                for step in told.to_do
            ],
        },
    }
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    return card
