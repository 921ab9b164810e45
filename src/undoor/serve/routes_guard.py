"""What the web page and people ask about the guard, and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from undoor.serve.kept_input import KeptInput
from undoor.serve.metrics import CONTENT_TYPE, share_flagged
from undoor.serve.pictures import picture_of
from undoor.serve.refusal import Refusal
from undoor.serve.schemas import ERRORS, PNG
from undoor.serve.served_model import ServedModel
from undoor.serve.service import Service
from undoor.serve.store import Tested

MAX_SHOWN = 200
MAX_MINUTES = 7 * 24 * 60
Number = Annotated[int, Path(ge=0, lt=2**31)]
Shown = Annotated[int, Query(ge=1, le=MAX_SHOWN)]
Minutes = Annotated[int, Query(ge=1, le=MAX_MINUTES)]


def router_of(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["Guard"], responses=ERRORS)
    model, store = service.model, service.store
    repair = model.repair_sha256

    @router.get("/metrics", summary="Metrics for Prometheus")
    async def metrics() -> Response:
        page = await service.in_store(partial(service.metrics.page, service.shares()))
        return Response(page, media_type=CONTENT_TYPE)

    @router.get("/guard/state", summary="Shares flagged, promises and alarms")
    async def state() -> dict[str, Any]:
        tests = await service.in_store(partial(store.tests, repair, model.targets))
        shows_fleet = service.settings.fleet is not None
        return _state(model, tests) | {"keep": service.settings.keep, "fleet": shows_fleet}

    @router.get("/guard/history", summary="Inputs judged and flagged, by minute and target")
    async def history(minutes: Minutes = 60) -> dict[str, Any]:
        found = await service.in_store(partial(store.by_minute, repair, minutes))
        names = ("target", "start", "judged", "flagged")
        return {"minutes": [dict(zip(names, row, strict=True)) for row in found]}

    @router.post("/guard/alarm/acknowledge", summary="End the alarms and begin the tests anew")
    async def acknowledge() -> dict[str, list[int]]:
        ended = await service.in_store(partial(store.acknowledge, repair, model.targets))
        return {"acknowledged": ended}

    _add_pictures(router, service)
    return router


def _add_pictures(router: APIRouter, service: Service) -> None:
    model, store = service.model, service.store

    @router.get("/guard/flagged", summary="The latest flagged inputs that are kept")
    async def flagged(limit: Shown = 24) -> dict[str, Any]:
        kept = await service.in_store(partial(store.kept, model.model_sha256, newest=limit))
        return {"flagged": [_described(model, item) for item in kept]}

    @router.get(
        "/guard/flagged/{number}/picture",
        summary="A kept input as a picture",
        response_class=Response,
        responses=PNG,
    )
    async def kept_picture(number: Number) -> Response:
        item = await service.in_store(partial(store.kept_one, number, model.model_sha256))
        if item is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"the flagged input {number} is not kept")
        return Response(picture_of(item.x, model.contract.bounds), media_type="image/png")

    @router.get(
        "/guard/triggers/{target}/picture",
        summary="The recovered trigger of a target",
        response_class=Response,
        responses=PNG,
    )
    async def trigger_picture(target: Number) -> Response:
        picture = model.triggers.get(target)
        if picture is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"no trigger of the target {target} is at hand")
        return Response(picture, media_type="image/png")


def _state(model: ServedModel, tests: Mapping[int, Tested]) -> dict[str, Any]:
    targets = []
    for guard in model.guards:
        tested = tests[guard.target]
        share, low, high = share_flagged(tested) or (None, None, None)
        targets.append(
            {
                "target": guard.target,
                "class": model.goal_name(guard.target),
                "threshold": guard.threshold,
                "promised": guard.promised,
                "judged": tested.test.judged,
                "flagged": tested.test.flagged,
                "share": share,
                "interval": None if share is None else [low, high],
                "alarm": tested.test.alarm,
                "alarm_since": tested.alarm_since,
                "has_trigger": guard.target in model.triggers,
            }
        )
    return {
        "model": model.name,
        "platform": model.platform,
        "policy": model.policy,
        "takes_pictures": model.takes_pictures,
        "predicts": model.outputs.kind,
        "unit": model.outputs.unit,
        "input_shape": list(model.contract.input_shape),
        "bounds": list(model.contract.bounds),
        "model_sha256": model.model_sha256,
        "repair_sha256": model.repair_sha256,
        "targets": targets,
    }


def _described(model: ServedModel, item: KeptInput) -> dict[str, Any]:
    return {
        "number": item.number,
        "time": item.time,
        "target": item.target,
        "target_class": model.goal_name(item.target),
        "label": item.label,
        "class": model.outputs.shown(item.label),
        "score": item.score,
        "reason": item.reason,
    }
