"""Files that prepare pictures themselves: pixels of several sizes behind HTTP."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from helpers.exported_files import exported, pictures
from helpers.serving import serving
from undoor.deploy import ExportedModel
from undoor.serve.limits import Limits
from undoor.serve.onnx_engine import OnnxEngine
from undoor.serve.served_model import warmed_up
from undoor.serve.singly import run_batch

NAME = "signs"


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(exported(with_preprocessing=True).file, name=NAME, threads=1)


def png(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def classified(client: TestClient, given: list[NDArray[np.uint8]]) -> list[dict[str, Any]]:
    files = [("picture", (f"{number}.png", png(x))) for number, x in enumerate(given)]
    answer = client.post("/classify", files=files)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def infer(client: TestClient, **changes: Any) -> Any:
    x = pictures()[0][None]
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": list(x.shape), "data": x.tolist()}
    return client.post(f"/v2/models/{NAME}/infer", json={"inputs": [tensor | changes]})


def test_pictures_of_several_sizes_in_one_request(engine: OnnxEngine, tmp_path: Path) -> None:
    wanted = ExportedModel(exported(with_preprocessing=True).file).predict(pictures())
    with serving(tmp_path, engine, keep=99) as client:
        found = classified(client, pictures())
        assert [row["label"] for row in found] == [one.label for one in wanted]
        assert [row["flagged"] for row in found] == [one.flagged for one in wanted]
        assert {one.flagged for one in wanted} == {True, False}
        for row, one in zip(found, wanted, strict=True):
            assert row["score"] == pytest.approx(one.score, abs=1e-4)
        # Kept as the network sees it: for `undoor adapt`, and no larger than the model.
        (newest,) = client.get("/guard/flagged?limit=1").json()["flagged"]
        picture = client.get(f"/guard/flagged/{newest['number']}/picture")
        with Image.open(io.BytesIO(picture.content)) as image:
            assert image.size == (96, 96)


def test_protocol(engine: OnnxEngine, tmp_path: Path) -> None:
    with serving(tmp_path, engine) as client:
        (described,) = client.get(f"/v2/models/{NAME}").json()["inputs"]
        assert described == {"name": "pixels", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}
        answer = infer(client)
        outputs = {item["name"]: item["data"] for item in answer.json()["outputs"]}
        (row,) = classified(client, pictures()[:1])
        assert outputs["flagged"] == [row["flagged"]]
        assert outputs["label"] == [row["label"]]
        rows = client.post("/classify", json={"rows": [pictures()[0].tolist()]})
        assert rows.json()["results"][0]["label"] == row["label"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "images"}, "expected the name 'pixels'"),
        ({"shape": [1, 3, 32, 32]}, "expected [N, height, width, 3]"),
        ({"shape": [1, 0, 32, 3], "data": []}, "expected [N, height, width, 3]"),
        ({"shape": [1, 1, 1, 3], "data": [0, 0, 256]}, "whole numbers from 0 to 255"),
        ({"shape": [1, 1, 1, 3], "data": [0, 0, 0.5], "datatype": "FP32"}, "whole numbers"),
        ({"shape": [1, 1, 1, 3], "data": [0, 0, -1], "datatype": "INT8"}, "whole numbers"),
    ],
)
def test_what_is_no_picture(
    engine: OnnxEngine, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with serving(tmp_path, engine) as client:
        answer = infer(client, **changes)
    assert answer.status_code == 400
    assert told in json.loads(answer.content)["error"]


def test_pictures_have_a_bound(engine: OnnxEngine, tmp_path: Path) -> None:
    """Each of them, and those of one request together: pixels wait for their batch."""
    large = np.zeros((60, 60, 3), np.uint8)
    limits = Limits(body=9000, bodies=20_000, pixels=3600, delay=0.0)
    with serving(tmp_path, engine, limits=limits) as client:
        files = [("picture", ("a.png", png(large)))]
        assert client.post("/classify", files=files).status_code == 200
        assert client.post("/classify", files=2 * files).status_code == 413
        wide = png(np.zeros((61, 60, 3), np.uint8))
        assert client.post("/classify", files=[("p", ("a.png", wide))]).status_code == 413


def test_large_pictures_run_one_after_the_other(
    engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = pictures()
    (whole,) = run_batch(engine, [given])
    monkeypatch.setattr("undoor.serve.onnx_engine.PIXELS_AT_ONCE", 1)
    (one_by_one,) = run_batch(engine, [given])
    assert whole.labels.tolist() == one_by_one.labels.tolist()
    np.testing.assert_allclose(whole.logits, one_by_one.logits, rtol=1e-4, atol=1e-3)


def test_warmed_up(engine: OnnxEngine) -> None:
    assert warmed_up(engine) is engine
