"""The models of a fleet, as its database holds them: for the page, and as JSON."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter

from undoor.errors import UndoorError
from undoor.fleet.stored_models import StoredModel, stored_models
from undoor.serve.refusal import Refusal
from undoor.serve.schemas import ERRORS, HTML
from undoor.serve.service import Service
from undoor.vocabulary import REPORT_PAGE

log = logging.getLogger("undoor.serve")

# A report of undoor is below 2 MB.
MAX_REPORT = 32 * 2**20
RETRY_SECONDS = 30.0
Key = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$")]


def router_of(service: Service, where: str) -> APIRouter:
    """Return the routes.

    Parameters
    ----------
    where
        The URL of the database, or the Parquet file, that `undoor fleet --store` wrote.
    """
    router = APIRouter(prefix="/fleet", tags=["Fleet"], responses=ERRORS)

    @router.get("/models", summary="The models of the fleet, with verdicts and targets")
    async def models() -> dict[str, Any]:
        found = await service.in_store(partial(_stored, where))
        counts = Counter(model.entry.verdict or model.entry.state for model in found)
        return {"counts": dict(counts), "models": [_described(model) for model in found]}

    @router.get(
        "/reports/{key}",
        summary="The report of a model",
        response_class=Response,
        responses=HTML,
    )
    async def report(key: Key) -> Response:
        page = await service.in_store(partial(_report, where, key))
        if page is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "this machine has no report of such a model")
        return Response(page, media_type="text/html; charset=utf-8")

    return router


def _stored(where: str) -> list[StoredModel]:
    try:
        return stored_models(where)
    except UndoorError as error:
        # The reason may name places that are nobody's business.
        log.error("the fleet cannot be read", extra={"error": str(error)[:500]})
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the database of the fleet cannot be read; the log of the service says why",
            RETRY_SECONDS,
        ) from None


def _report(where: str, key: str) -> bytes | None:
    files = (_report_file(model) for model in _stored(where) if model.entry.key == key)
    found = next(filter(None, files), None)
    return None if found is None else found.read_bytes()


def _report_file(model: StoredModel) -> Path | None:
    """Return the report of a model; None where this machine has none below the fleet's folder."""
    if model.entry.folder is None or model.entry.key is None:
        return None
    file = model.fleet / model.entry.folder / REPORT_PAGE
    try:
        is_there = file.resolve().is_relative_to(model.fleet.resolve()) and file.is_file()
        return file if is_there and file.stat().st_size <= MAX_REPORT else None
    except (OSError, ValueError):
        return None


def _described(model: StoredModel) -> dict[str, Any]:
    entry = model.entry.to_json()
    shown = ("name", "model", "state", "verdict", "targets", "reasons", "problem", "model_sha256")
    key = None if _report_file(model) is None else model.entry.key
    return {
        **{name: entry[name] for name in shown},
        "date": model.date,
        "report": None if key is None else f"fleet/reports/{key}",
    }
