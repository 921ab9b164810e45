"""The Open Inference Protocol v2 over HTTP."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from undoor.serve.model_metadata import VERSION, metadata
from undoor.serve.refusal import Refusal
from undoor.serve.schemas import ERRORS, INFER_BODY, InferAnswer, ModelMetadata
from undoor.serve.service import Service
from undoor.serve.tensors import read_request, response

LENGTH_OF_JSON = "Inference-Header-Content-Length"
EXTENSIONS = ["binary_tensor_data"]
# Bodies above this are read in a thread, so that others are answered meanwhile.
LARGE = 64 * 1024


def router_of(service: Service) -> APIRouter:
    """Return the routes of the protocol."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"])

    @router.get("", summary="Server metadata")
    async def server() -> dict[str, Any]:
        return {"name": "undoor", "version": version("undoor"), "extensions": EXTENSIONS}

    @router.get("/health/live", summary="Whether the server runs")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready", summary="Whether requests are answered", responses={503: {}})
    async def ready() -> JSONResponse:
        return JSONResponse({"ready": service.ready}, 200 if service.ready else 503)

    _add_model_routes(router, service)
    return router


def _add_model_routes(router: APIRouter, service: Service) -> None:
    for path in ("/models/{name}", "/models/{name}/versions/{version}"):
        _add_versioned(router, service, path)


def _add_versioned(router: APIRouter, service: Service, path: str) -> None:
    suffix = "_of_version" if "version" in path else ""

    @router.get(
        path,
        summary="Model metadata",
        operation_id=f"model_metadata{suffix}",
        response_model=ModelMetadata,
        responses=ERRORS,
    )
    async def model_metadata(name: str, version: str = VERSION) -> JSONResponse:
        _require_model(service, name, version)
        return JSONResponse(metadata(service.model, service.settings.limits.batch))

    @router.get(
        f"{path}/ready",
        summary="Whether the model is ready",
        operation_id=f"model_ready{suffix}",
        responses=ERRORS,
    )
    async def model_ready(name: str, version: str = VERSION) -> JSONResponse:
        _require_model(service, name, version)
        found = {"name": name, "ready": service.ready}
        return JSONResponse(found, 200 if service.ready else 503)

    @router.post(
        f"{path}/infer",
        summary="Inference",
        operation_id=f"infer{suffix}",
        response_model=InferAnswer,
        responses=ERRORS,
        openapi_extra=INFER_BODY,
    )
    async def infer(name: str, request: Request, version: str = VERSION) -> Response:
        _require_model(service, name, version)
        return await _infer(service, request)


async def _infer(service: Service, request: Request) -> Response:
    body = await request.body()
    length = request.headers.get(LENGTH_OF_JSON)
    limits = service.settings.limits
    if len(body) > LARGE:
        read = await asyncio.to_thread(read_request, body, length, service.model, limits)
    else:
        read = read_request(body, length, service.model, limits)
    reply = await service.classify(read.x)
    kept = sum(number is not None for number in reply.kept)
    content, json_length = response(service.model, read, reply.answers, kept)
    if json_length is None:
        return Response(content, media_type="application/json")
    headers = {LENGTH_OF_JSON: str(json_length)}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _require_model(service: Service, name: str, version: str) -> None:
    if name != service.model.name or version != VERSION:
        raise Refusal(
            HTTPStatus.NOT_FOUND,
            f"expected the model {service.model.name!r} in version {VERSION}; no other is served",
        )
