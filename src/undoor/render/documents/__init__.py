"""The JSON documents of all commands, as types of which JSON Schemas are made.

A document is closed: a key that is not described here is a mistake. The number at the end of its
`schema` changes when a key changes its meaning or goes away.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from undoor.errors import UndoorError
from undoor.render.documents.calibration import Calibration
from undoor.render.documents.check import Check
from undoor.render.documents.error import Error
from undoor.render.documents.estimate import Estimate
from undoor.render.documents.evaluation import Evaluation
from undoor.render.documents.fleet import Fleet
from undoor.render.documents.inspection import Inspection
from undoor.render.documents.repair import Repair
from undoor.render.documents.report import Demo, Report
from undoor.render.documents.scan import Scan

DIALECT = "https://json-schema.org/draft/2020-12/schema"


DOCUMENTS: dict[str, type[BaseModel]] = {
    "scan": Scan,
    "repair": Repair,
    "check": Check,
    "evaluation": Evaluation,
    "demo": Demo,
    "report": Report,
    "inspection": Inspection,
    "estimate": Estimate,
    "calibration": Calibration,
    "fleet": Fleet,
    "error": Error,
}


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document, closed: unknown keys do not validate.

    Raises
    ------
    UndoorError
        There is no such document.

    Examples
    --------
    >>> json_schema("scan")["properties"]["verdict"]["enum"]
    ['backdoored', 'clean', 'inconclusive']
    """
    if name not in DOCUMENTS:
        raise UndoorError(f"expected a document, {', '.join(DOCUMENTS)}, got {name!r}")
    schema = DOCUMENTS[name].model_json_schema(by_alias=True)
    version = schema["properties"]["schema"]["const"]
    return {"$schema": DIALECT, "$id": f"urn:{version.replace('/', ':')}", **schema}
