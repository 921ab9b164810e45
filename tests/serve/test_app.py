"""The service behind HTTP, in this process."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from helpers.html_pages import Page
from helpers.serving import SHAPE, FakeEngine, inputs, served, serving
from undoor.serve.limits import Limits
from undoor.serve.store import Store

INFER = "/v2/models/signs/infer"


def body(*first: float) -> dict[str, Any]:
    x = inputs(*first)
    tensor = {"name": "images", "datatype": "FP32", "shape": list(x.shape), "data": x.tolist()}
    return {"inputs": [tensor]}


def rows(client: TestClient, *first: float) -> list[dict[str, Any]]:
    # Not `json=`: NaN is to be sent.
    content = json.dumps({"rows": inputs(*first).tolist()})
    answer = client.post("/classify", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def until(found: Callable[[], Any]) -> Any:
    """What `found` returns as soon as it is true: counts are written every second."""
    for _ in range(200):
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_protocol(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
        assert client.get("/v2/health/live").json() == {"live": True}
        assert client.get("/v2/health/ready").json() == {"ready": True}
        for path in ("/v2/models/signs", "/v2/models/signs/versions/1"):
            found = client.get(path).json()
            assert found["inputs"] == [
                {"name": "images", "datatype": "FP32", "shape": [-1, *SHAPE]}
            ]
            assert client.get(f"{path}/ready").json()["ready"]
            answer = client.post(f"{path}/infer", json=body(0.1, 0.5)).json()
            outputs = {item["name"]: item["data"] for item in answer["outputs"]}
            assert (outputs["label"], outputs["flagged"]) == ([1, 2], [False, True])


@pytest.mark.parametrize(
    "path", ["/v2/models/other", "/v2/models/signs/versions/2", "/v2/models/..%2Fsigns"]
)
def test_other_models_are_not_there(tmp_path: Path, path: str) -> None:
    with serving(tmp_path) as client:
        for answer in (client.get(path), client.post(f"{path}/infer", json=body(0))):
            assert answer.status_code == 404
            assert set(answer.json()) == {"error"}


def test_binary_extension(tmp_path: Path) -> None:
    x = inputs(0.1, 0.5)
    tensor = {"name": "images", "datatype": "FP32", "shape": list(x.shape)}
    head = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": x.nbytes}}],
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "label"}],
    }
    text = json.dumps(head).encode()
    with serving(tmp_path) as client:
        answer = client.post(
            INFER,
            content=text + x.tobytes(),
            headers={"Inference-Header-Content-Length": str(len(text))},
        )
    length = int(answer.headers["Inference-Header-Content-Length"])
    assert json.loads(answer.content[:length])["outputs"][0]["shape"] == [2]
    assert np.frombuffer(answer.content[length:], "<i8").tolist() == [1, 2]


def test_answers_of_classify(tmp_path: Path) -> None:
    with serving(tmp_path, keep=10) as client:
        clean, flagged, wrong = rows(client, 0.1, 0.5, np.nan)
    assert clean == {
        "label": 1, "class": "yield", "flagged": False, "score": 0.25, "threshold": 1.5,
        "reason": None, "target": None, "model_label": 1, "model_class": "yield", "kept": None,
    }  # fmt: skip
    assert flagged == {
        "label": 2, "class": "go", "flagged": True, "score": 3.0, "threshold": 1.5,
        "reason": "backdoor", "target": 1, "model_label": 1, "model_class": "yield", "kept": 1,
    }  # fmt: skip
    assert (wrong["label"], wrong["reason"], wrong["kept"]) == (None, "not finite", 2)


def png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((9, 9), 26, np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_pictures(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        one = client.post("/classify", content=png(), headers={"content-type": "image/png"})
        assert one.json()["results"][0]["class"] == "yield"
        files = [("picture", ("a.png", png(), "image/png"))] * 2
        two = client.post("/classify", files=files)
        assert [item["label"] for item in two.json()["results"]] == [1, 1]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "image/png", 400),
        (b"x", "image/png", 400),
        (b"x", "text/plain", 415),
        (b"x", "", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"rows": 3}', "application/json", 400),
        (b'{"rows": []}', "application/json", 400),
        (b'{"rows": [[1, 2]]}', "application/json", 400),
        (b'{"rows": [1, 2]}', "application/json", 400),
        (b'{"rows": [null]}', "application/json", 400),
        (b"{" + b'"a":{' * 5000, "application/json", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"", "multipart/form-data", 400),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
         "multipart/form-data; boundary=x", 400),
    ],
)  # fmt: skip
def test_bodies_that_are_refused(tmp_path: Path, content: bytes, kind: str, status: int) -> None:
    with serving(tmp_path) as client:
        answer = client.post("/classify", content=content, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}


def test_vectors_take_rows_alone(tmp_path: Path) -> None:
    with serving(tmp_path, FakeEngine(served(shape=(3,)))) as client:
        answer = client.post("/classify", json={"rows": [[0.1, 0, 0]]})
        assert answer.json()["results"][0]["label"] == 1
        assert client.get("/guard/state").json()["takes_pictures"] is False
        answer = client.post("/classify", content=png(), headers={"content-type": "image/png"})
        assert answer.status_code == 400


def test_a_poisoned_input_spoils_no_other(tmp_path: Path) -> None:
    engine = FakeEngine()
    limits = Limits(delay=0.2)
    with serving(tmp_path, engine, limits=limits) as client, ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda first: rows(client, first)[0], (0.1, 0.9, 0.5)))
    assert [item["label"] for item in found] == [1, None, 2]
    assert [item["reason"] for item in found] == [None, "model failed", "backdoor"]
    # Together at first, one by one after that.
    assert max(engine.batches) >= 2


def test_back_pressure(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.go_on.clear()
    limits = Limits(batch=1, queue=2, delay=0.0)
    with serving(tmp_path, engine, limits=limits) as client, ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(client.post, INFER, json=body(0.1)) for _ in range(8)]
        until(lambda: sum(answer.done() for answer in answers) == 6)
        # Refused before it is read.
        assert client.post(INFER, content=b"{").status_code == 429
        assert client.post("/classify", content=b"{").status_code == 429
        assert client.get("/v2/health/ready").status_code == 200
        engine.go_on.set()
        done = [answer.result() for answer in answers]
    assert sorted(answer.status_code for answer in done) == [200, 200, *[429] * 6]
    refused = next(answer for answer in done if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1


def test_limits_of_size(tmp_path: Path) -> None:
    limits = Limits(body=2000, batch=2, delay=0.0, queue=2, pixels=80)
    with serving(tmp_path, limits=limits) as client:
        assert client.post(INFER, content=b"x" * 2001).status_code == 413
        # Without a length in the head, as far as it came.
        assert client.post(INFER, content=iter([b"x" * 999] * 9)).status_code == 413
        assert client.post(INFER, json=body(0, 0, 0)).status_code == 413
        answer = client.post("/classify", content=png(), headers={"content-type": "image/png"})
        assert answer.status_code == 413
        assert "80 pixels" in answer.json()["error"]
        assert client.post(INFER, json=body(0, 0)).status_code == 200


def test_bodies_under_way_have_a_bound_together(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.go_on.clear()
    limits = Limits(body=4000, bodies=6000, delay=0.0)
    large = json.dumps(body(0.1)).ljust(3900).encode()
    with serving(tmp_path, engine, limits=limits) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, INFER, content=large)
        assert engine.started.wait(20)
        assert client.post(INFER, content=large).status_code == 429
        engine.go_on.set()
        assert first.result().status_code == 200
        assert client.post(INFER, content=large).status_code == 200


def test_tokens(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret-secret-secret\n")
    right = {"Authorization": "Bearer secret-secret-secret"}
    with serving(tmp_path, tokens=tmp_path / "tokens") as client:
        for path in ("/v2/health/live", "/v2/health/ready", "/", "/page/page.js", "/docs"):
            assert client.get(path).status_code == 200
        closed = ["/v2", "/v2/models/signs", "/metrics", "/guard/state", "/guard/flagged", "/x"]
        for path in closed:
            assert client.get(path).status_code == 401
        assert client.get("/v2/health/../models/signs").status_code == 401
        answer = client.post(INFER, json=body(0), headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert client.post(INFER, json=body(0), headers=right).status_code == 200
        assert client.get("/guard/state", headers=right).status_code == 200


def test_pages_of_other_sites_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        headers = {"Sec-Fetch-Site": "cross-site"}
        assert client.post(INFER, json=body(0), headers=headers).status_code == 403
        assert client.post("/guard/alarm/acknowledge", headers=headers).status_code == 403
        # A link to the page is none.
        assert client.get("/", headers=headers).status_code == 200
        headers = {"Sec-Fetch-Site": "same-origin"}
        assert client.post(INFER, json=body(0), headers=headers).status_code == 200


def test_metrics_and_alarm(tmp_path: Path) -> None:
    with serving(tmp_path, keep=5) as client:
        rows(client, *[0.5] * 20, 0.1, np.nan)
        page = until(
            lambda: (
                "undoor_alarm" in (text := client.get("/metrics").text)
                and 'undoor_alarm{class="yield",target="1"} 1.0' in text
                and text
            )
        )
        for line in (
            'undoor_requests_total{route="/classify",status="200"} 1.0',
            "undoor_inputs_total 22.0",
            'undoor_flagged_total{reason="backdoor",target="1"} 20.0',
            'undoor_flagged_total{reason="not finite",target=""} 1.0',
            "undoor_kept_total 21.0",
            'undoor_batch_inputs_bucket{le="32.0"} 1.0',
            'undoor_judged_inputs{class="yield",target="1"} 21.0',
            'undoor_share_promised{class="yield",target="1"} 0.05',
        ):
            assert line in page
        low, high = (
            float(re.findall(rf"undoor_share_flagged_{end}{{.* (\S+)", page)[0])
            for end in ("low", "high")
        )
        assert low < 20 / 21 < high

        (state,) = client.get("/guard/state").json()["targets"]
        assert (state["judged"], state["flagged"], state["alarm"]) == (21, 20, True)
        assert client.post("/guard/alarm/acknowledge").json() == {"acknowledged": [1]}
        (state,) = client.get("/guard/state").json()["targets"]
        assert (state["judged"], state["alarm"], state["alarm_since"]) == (0, False, None)
        assert client.post("/guard/alarm/acknowledge").json() == {"acknowledged": []}
        # The history stays.
        (minute,) = client.get("/guard/history").json()["minutes"]
        assert (minute["judged"], minute["flagged"]) == (21, 20)


def test_kept_inputs(tmp_path: Path) -> None:
    with serving(tmp_path, keep=3) as client:
        numbers = [item["kept"] for item in rows(client, 0.5, 0.1, 0.5, 0.5, 0.5)]
        assert numbers == [1, None, 2, 3, 4]
        found = client.get("/guard/flagged").json()["flagged"]
        assert [item["number"] for item in found] == [4, 3, 2]
        assert found[0]["class"] == "go"
        picture = client.get("/guard/flagged/4/picture")
        assert picture.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(picture.content)) as image:
            assert image.size[0] % 4 == 0
        assert client.get("/guard/flagged/1/picture").status_code == 404
        for wrong in ("-1", "x", "9" * 30):
            assert client.get(f"/guard/flagged/{wrong}/picture").status_code == 422
        assert client.get("/guard/triggers/1/picture").content == b"\x89PNG"
        assert client.get("/guard/triggers/0/picture").status_code == 404


def test_nothing_is_kept_unless_wished(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        assert rows(client, 0.5)[0]["kept"] is None
        assert client.get("/guard/flagged").json() == {"flagged": []}


def test_a_database_that_fails_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    def fail(*_: object) -> None:
        raise OperationalError("no", None, OSError("disk full"))

    with serving(tmp_path, keep=3) as client:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "keep", fail)
            patch.setattr(Store, "count", fail)
            (found,) = rows(client, 0.5)
            assert (found["flagged"], found["kept"]) == (True, None)
            assert "undoor_not_kept_total 1.0" in client.get("/metrics").text
            time.sleep(1.2)
        # Counts that could not be written are written later.
        until(lambda: client.get("/guard/state").json()["targets"][0]["judged"] == 1)


def test_a_database_without_tables(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The guard's routes say that the database fails; counters of the process are still served."""
    with serving(tmp_path, keep=3) as client:
        with closing(sqlite3.connect(tmp_path / "flags.sqlite")) as database:
            for table in ("counts", "tests", "flagged"):
                database.execute(f"DROP TABLE undoor_{table}")
        (found,) = rows(client, 0.5)
        assert (found["flagged"], found["kept"]) == (True, None)
        for path in ("state", "flagged", "history", "flagged/1/picture"):
            answer = client.get(f"/guard/{path}")
            assert answer.status_code == 503
            assert answer.json()["error"].startswith("the database fails (OperationalError)")
        assert client.post("/guard/alarm/acknowledge").status_code == 503
        page = client.get("/metrics")
        assert page.status_code == 200
        assert "undoor_not_kept_total 1.0" in page.text
        assert "undoor_alarm" not in page.text
    assert "metrics lack the shares flagged" in caplog.messages


def test_any_error_of_counting_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no number")

    closed: list[bool] = []
    monkeypatch.setattr(Store, "close", lambda _: closed.append(True))
    with serving(tmp_path) as client:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "count", fail)
            rows(client, 0.5)
            until(lambda: "counts are not written yet" in caplog.messages)
        until(lambda: client.get("/guard/state").json()["targets"][0]["judged"] == 1)
        monkeypatch.setattr(Store, "count", fail)
        rows(client, 0.5)
    assert closed == [True]


def test_counts_are_written_at_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        rows(client, 0.1)
    with serving(tmp_path) as client:
        assert client.get("/guard/state").json()["targets"][0]["judged"] == 1


def test_page(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        answer = client.get("/")
        page = Page(answer.text)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        names = [name for name, _ in page.elements]
        # No script or style within the page, which the policy would refuse.
        assert "style" not in names
        assert all(a.get("src") for name, a in page.elements if name == "script")
        assert not any(
            key.startswith("on") or key == "style" for _, a in page.elements for key in a
        )
        for name, attributes in page.elements:
            if name == "script" or attributes.get("rel") == "stylesheet":
                where = attributes.get("src") or attributes["href"]
                assert client.get(f"/{where}").status_code == 200
        labels = {a["for"] for name, a in page.elements if name == "label"}
        assert labels == {a["id"] for name, a in page.elements if name == "input"}
        assert client.get("/page/../app.py").status_code == 404
        assert client.get("/page/%2e%2e/app.py").status_code == 404


def test_api_page_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        page = client.get("/docs").text
        assert not re.search(r"(src|href)=\"(https?:)?//", page)
        for where in re.findall(r"(?:src|href)=\"([^\"]+)\"", page):
            assert client.get(where).status_code == 200
        document = client.get("/openapi.json").json()
        assert {"/classify", "/v2/models/{name}/infer", "/metrics"} <= set(document["paths"])


def test_every_answer_carries_its_headers(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        for path in ("/", "/v2", "/nowhere", "/docs"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert client.get("/nowhere").json() == {"error": "Not Found"}
        assert client.put("/v2").status_code == 405


def test_head_is_get_without_a_body(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret-secret-secret\n")
    with serving(tmp_path) as client:
        for path in ("/", "/v2/health/live", "/guard/state", "/page/page.js"):
            wanted, found = client.get(path), client.head(path)
            assert (found.status_code, found.content) == (200, b"")
            assert found.headers["content-length"] == wanted.headers["content-length"]
        assert client.head("/metrics").status_code == 200
        assert 'route="/v2/health/live",status="200"} 2.0' in client.get("/metrics").text
        assert client.head("/classify").status_code == 405
        assert client.head("/nowhere").status_code == 404
    with serving(tmp_path, tokens=tmp_path / "tokens") as client:
        refused = client.head("/metrics")
        assert (refused.status_code, refused.content) == (401, b"")


def test_a_fault_of_ours_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from undoor.serve.service import Service

    async def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    with serving(tmp_path) as client:
        monkeypatch.setattr(Service, "classify", fail)
        answer = client.post(INFER, json=body(0))
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal error"}
