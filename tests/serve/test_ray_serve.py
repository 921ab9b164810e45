"""A replica of Ray Serve, without Ray; tests/docs/test_deploy.py starts a cluster."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError
from starlette.testclient import TestClient

from helpers.exported_files import exported, pictures
from undoor.deploy import ExportedModel
from undoor.errors import UndoorError
from undoor.serve.onnx_engine import sha256_of
from undoor.serve.ray_serve import Options, build, replica

# Ray sets fields in a way that pydantic no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments:DeprecationWarning")


def encoded(number: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pictures()[number]).save(stream, "PNG")
    return stream.getvalue()


def test_a_replica_is_the_service(tmp_path: Path) -> None:
    file = exported().file
    (wanted,) = ExportedModel(file).predict([pictures()[0]])
    options = Options(file=file, database=f"sqlite:///{tmp_path}/flags.sqlite", keep_flagged=5)
    with TestClient(replica(options, sha256_of(file))) as client:
        answer = client.post("/classify", content=encoded(0), headers={"content-type": "image/png"})
        (found,) = answer.json()["results"]
        assert (found["label"], found["flagged"]) == (wanted.label, wanted.flagged)
        assert client.get("/v2/models/guarded/ready").json()["ready"]
        assert client.get("/guard/state").json()["keep"] == 5


def test_a_file_that_changed_is_refused() -> None:
    with pytest.raises(UndoorError, match="the file has changed"):
        replica(Options(file=exported().file), "0" * 64)


def test_options() -> None:
    assert Options.model_validate({"file": "a.onnx", "max_replicas": "8"}).max_replicas == 8
    for wrong in ({"replicas": 8}, {"name": "a/b"}, {"keep_flagged": -1}):
        with pytest.raises(ValidationError):
            Options.model_validate({"file": "a.onnx", **wrong})


def test_build() -> None:
    file = exported().file
    assert type(build(Options(file=file))).__name__ == "Application"
    with pytest.raises(UndoorError, match=r"at least min_replicas \(3\), got 2"):
        build(Options(file=file, min_replicas=3, max_replicas=2))
    with pytest.raises(UndoorError, match="expected a database"):
        build(Options(file=file, keep_flagged=3))


def test_refusals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="no such file"):
        build(Options(file=tmp_path / "a.onnx"))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UndoorError, match=r"ray\[serve\].*pip install '\.\[ray\]'"):
        build(Options(file=tmp_path / "a.onnx"))
