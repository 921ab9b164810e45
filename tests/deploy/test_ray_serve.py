"""A replica of Ray Serve, without Ray; tests/docs/test_deploy.py starts a cluster."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message

from helpers.exported_files import exported, pictures
from undoor.deploy import ExportedModel
from undoor.deploy import ray_serve as room
from undoor.deploy.ray_serve import Options, Replica, build
from undoor.errors import UndoorError


def encoded(number: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pictures()[number]).save(stream, "PNG")
    return stream.getvalue()


def replica() -> Replica:
    return Replica(str(exported().file), 1)


def answer(body: bytes) -> JSONResponse:
    parts = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    return asyncio.run(replica()(Request({"type": "http", "method": "POST"}, receive)))


def test_http() -> None:
    (wanted,) = ExportedModel(exported().file).predict([pictures()[0]])
    made = answer(encoded(0))
    assert made.status_code == 200
    assert json.loads(bytes(made.body)) == pytest.approx(wanted.to_json())


def test_bad_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    made = answer(b"no picture")
    assert made.status_code == 400
    assert "one that cannot" in json.loads(bytes(made.body))["error"]
    monkeypatch.setattr(room, "MAX_BYTES", 100)
    assert answer(encoded(0)).status_code == 413


def test_together() -> None:
    """A bad input spoils no other."""
    served = replica()

    async def all_of_them() -> list[object]:
        given = [encoded(0), b"no picture", encoded(1)]
        return await asyncio.gather(*map(served.predict, given), return_exceptions=True)

    first, second, third = asyncio.run(all_of_them())
    assert [first, third] == ExportedModel(exported().file).predict(pictures()[:2])
    assert isinstance(second, UndoorError)


def test_options() -> None:
    assert Options.model_validate({"file": "a.onnx", "max_replicas": "8"}).max_replicas == 8
    with pytest.raises(ValidationError):
        Options.model_validate({"file": "a.onnx", "replicas": 8})


def test_refusals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UndoorError, match=r"ray\[serve\].*pip install '\.\[ray\]'"):
        build(Options(file=tmp_path / "a.onnx"))
