"""All results on one model as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from undoor.files import as_json
from undoor.render.subject import Subject, version
from undoor.scan.report import ScanReport

if TYPE_CHECKING:
    from undoor.evaluate import Evaluation
    from undoor.repair import Repair

SCHEMA = "undoor/report/1"


def report_json(
    scan: ScanReport,
    subject: Subject,
    repair: Repair | None = None,
    evaluation: Evaluation | None = None,
) -> str:
    """Return all results on one model as JSON, with keys in a fixed order and finite numbers only.

    Its schema is ``undoor.render.documents.json_schema("report")``.
    """
    examined: dict[str, Any] = {
        "model": subject.model,
        "weights_sha256": subject.weights_sha256,
        "network": subject.network,
        "parameters": subject.parameters,
        "input_shape": list(subject.input_shape),
        "bounds": list(subject.bounds),
        "data": subject.data,
    }
    return as_json(
        {
            "schema": SCHEMA,
            "undoor": version(),
            "examined": examined,
            "scan": scan.to_json(),
            "repair": repair.to_json() if repair else None,
            "evaluation": evaluation.to_json() if evaluation else None,
        }
    )
