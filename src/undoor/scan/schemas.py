"""The schemas of scan.json: this one, and those of older versions, which are still read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.identity.model import ModelIdentity, model_from_json
from undoor.scan.circumstances import Circumstances
from undoor.scan.coverage import Coverage, of_older
from undoor.scan.reason import Reason, written

SCHEMA = "undoor/scan/6"
# Of older versions, each with what those before it lack as well: reasons are sentences alone;
# `detectable` in the place of `coverage`, and no circumstances; the model is named by the weights
# and the input transform alone.
WORDED = "undoor/scan/5"
WITHOUT_COVERAGE = "undoor/scan/4"
WEIGHTS_ONLY = "undoor/scan/3"
READ = (SCHEMA, WORDED, WITHOUT_COVERAGE, WEIGHTS_ONLY)


def require_readable(data: Mapping[str, Any], file: Path) -> None:
    """Refuse a document of a schema that is not read.

    Raises
    ------
    UndoorError
        It is another document, or of a version that is too old or too new.
    """
    found = data.get("schema")
    if found not in READ:
        raise UndoorError(f"{file}: expected schema {SCHEMA!r}, got {found!r}; scan again")


def fields_by_schema(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a report whose form differs between the schemas.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        `data` is no content of a scan.json.
    """
    schema = data["schema"]
    fingerprint, identity = _model(data)
    reasons = data["reasons"]
    fields = {
        "reasons": tuple(map(Reason.from_json if schema == SCHEMA else written, reasons)),
        "fingerprint": fingerprint,
        "identity": identity,
    }
    if schema in (WITHOUT_COVERAGE, WEIGHTS_ONLY):
        return {**fields, "coverage": of_older(data["detectable"])}
    return {
        **fields,
        "coverage": Coverage.from_json(data["coverage"]),
        "date": data["date"],
        "circumstances": Circumstances.from_json(data["circumstances"]),
    }


def _model(data: Mapping[str, Any]) -> tuple[str, ModelIdentity]:
    weights_only = data["schema"] == WEIGHTS_ONLY
    named = data["model_sha256"]
    sha256, identity = model_from_json(
        named if weights_only else data["model"], weights_only=weights_only
    )
    if named != sha256:
        raise ValueError(f"model_sha256 is {named!r}, but its model's is {sha256!r}")
    return sha256, identity
