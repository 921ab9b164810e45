"""The HTTP application of one worker."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from undoor.fleet.stored_models import stored_models
from undoor.serve import routes_classify, routes_fleet, routes_guard, routes_v2
from undoor.serve.gate import Gate, error_body
from undoor.serve.metrics import Metrics
from undoor.serve.refusal import Refusal, bad_request
from undoor.serve.served_model import Engine
from undoor.serve.service import Service
from undoor.serve.settings import Settings
from undoor.serve.store import Store
from undoor.serve.tokens import Tokens

log = logging.getLogger("undoor.serve")

PAGE = Path(__file__).parent / "page"
DESCRIPTION = (
    "A classifier with a guard against its backdoor. Flagged inputs are answered as the policy "
    "says; NaN, infinite and out-of-range inputs are flagged and get no label."
)


def application(engine: Engine, settings: Settings) -> Gate:
    """Return the ASGI application that serves an engine.

    Raises
    ------
    UndoorError
        The database, that of the fleet, or the file of tokens cannot be used.
    """
    tokens = Tokens.read(settings.tokens) if settings.tokens else None
    service = Service(engine, settings, Store(settings.database), Metrics())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    app = FastAPIOffline(
        title=f"undoor serve: {engine.model.name}",
        description=DESCRIPTION,
        version=version("undoor"),
        redoc_url=None,
        lifespan=lifespan,
    )
    for routes in (routes_v2, routes_classify, routes_guard):
        app.include_router(routes.router_of(service))
    _add_page(app, "/", "index.html")
    if settings.fleet is not None:
        stored_models(settings.fleet)
        app.include_router(routes_fleet.router_of(service, settings.fleet))
        _add_page(app, "/fleet", "fleet.html")
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    _add_errors(app)
    return Gate(
        app,
        settings.limits,
        service.metrics,
        tokens,
        service.require_room,
        access_log=settings.access_log,
    )


def _add_page(app: FastAPI, path: str, file: str) -> None:
    @app.get(path, include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / file)


def _add_errors(app: FastAPI) -> None:
    """Answer every error as the Open Inference Protocol has them."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> Response:
        return _refusal(error)

    @app.exception_handler(SQLAlchemyError)
    async def without_database(_: Request, error: SQLAlchemyError) -> Response:
        # What the driver says may name hosts and users: it is for the log alone.
        log.error("the database fails", extra={"error": str(error)[:500]})
        message = f"the database fails ({type(error).__name__}); the log of the service says why"
        return _refusal(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, message))

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, __: ClientDisconnect) -> Response:
        # Nobody reads it; it is counted as the fault of the client.
        return _refusal(bad_request("the client left before its request had arrived"))

    @app.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        answer = _refusal(Refusal(status, str(error.detail)))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> Response:
        # The gate logs it.
        return _refusal(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        text = json.dumps(f"{place}: {first['msg']}")[1:-1]
        return _refusal(Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, text))


def _refusal(error: Refusal) -> Response:
    return Response(
        error_body(error), int(error.status), error.headers, media_type="application/json"
    )
