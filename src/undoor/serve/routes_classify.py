"""`POST /classify`: plain pictures and rows of numbers."""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from undoor.serve.input_form import ANY_SIDE
from undoor.serve.limits import Limits
from undoor.serve.pictures import input_of
from undoor.serve.refusal import Refusal, bad_request, too_large
from undoor.serve.schemas import CLASSIFY_BODY, ERRORS, ClassifyAnswer
from undoor.serve.served_model import Array, Inputs, ServedModel
from undoor.serve.service import Reply, Service
from undoor.serve.tensors import json_of, numbers, require_count

JSON, FORM = "application/json", "multipart/form-data"
BYTES = "application/octet-stream"
# Pictures that one worker decodes at a time.
DECODERS = 2


def router_of(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["Classify"])
    decoders = asyncio.Semaphore(DECODERS)

    @router.post(
        "/classify",
        summary="Classify pictures or rows",
        response_model=ClassifyAnswer,
        responses=ERRORS,
        openapi_extra=CLASSIFY_BODY,
    )
    async def classify(request: Request) -> JSONResponse:
        x = await _inputs(request, service, decoders)
        return JSONResponse(document(service.model, await service.classify(x)))

    return router


def document(model: ServedModel, reply: Reply) -> dict[str, Any]:
    """Return the answer to a request as JSON."""
    found = reply.answers
    form = model.outputs
    thresholds = {guard.target: guard.threshold for guard in model.guards}
    asked = np.where(found.flagged, found.targets, found.form.first_of(found.labels, model.targets))
    results = []
    for row in range(len(found)):
        label, target = form.plain(found.labels[row]), int(found.targets[row])
        bare = found.bare_label(row)
        results.append(
            {
                "label": label,
                "class": form.shown(label),
                "flagged": bool(found.flagged[row]),
                "score": found.known_score(row),
                "threshold": thresholds.get(int(asked[row])),
                "reason": found.reasons[row],
                "target": None if target < 0 else target,
                "model_label": bare,
                "model_class": form.shown(bare),
                "kept": reply.kept[row],
                **form.details(found.logits[row], found.labels[row]),
            }
        )
    return {"model": model.name, "policy": model.policy, "results": results}


async def _inputs(request: Request, service: Service, decoders: asyncio.Semaphore) -> Inputs:
    """Return the inputs of a request."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limits, model = service.settings.limits, service.model
    if kind == JSON:
        body = await request.body()
        return await asyncio.to_thread(rows_of, body, model, limits)
    if kind == FORM:
        pictures = await _uploaded(request, limits)
    elif kind.startswith("image/") or kind == BYTES:
        pictures = [await request.body()]
    else:
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"expected a picture (image/png, image/jpeg), {FORM} with pictures, or {JSON} with "
            f"rows, got {kind!r:.60}",
        )
    require_count(len(pictures), limits)
    found: list[Array] = []
    async with decoders:
        for content in pictures:
            found.append(await asyncio.to_thread(input_of, content, model, limits.pixels))
            if sum(x.nbytes for x in found) > limits.bodies:
                raise too_large(
                    f"expected pictures of at most {limits.bodies} bytes of pixels in one request, "
                    "got more; send several requests"
                )
    return found


def rows_of(body: bytes, model: ServedModel, limits: Limits) -> Array:
    """Return the rows of a body such as ``{"rows": [[0.1, 0.2], ...]}`` as inputs.

    Raises
    ------
    Refusal
        They are something else, too many, or of another length than the model takes.
    """
    given = json_of(body)
    if not isinstance(given, dict) or not isinstance(given.get("rows"), list):
        raise bad_request('expected a JSON object {"rows": [[...], ...]}')
    require_count(len(given["rows"]), limits)
    values, form = numbers(given["rows"]), model.form
    if ANY_SIDE not in form.shape and values.shape[1:] == (math.prod(form.shape),):
        values = values.reshape(-1, *form.shape)
    if not form.fits(values.shape[1:]):
        raise bad_request(
            f"rows: expected the shape {form.described()}, or as many numbers in each row, got "
            f"{list(values.shape)}"
        )
    return form.taken(values)


async def _uploaded(request: Request, limits: Limits) -> list[bytes]:
    try:
        async with request.form(max_files=limits.batch, max_fields=0) as form:
            files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
            return [await part.read() for part in files]
    except HTTPException as error:
        raise bad_request(f"expected {FORM} with pictures ({error.detail:.200})") from None
