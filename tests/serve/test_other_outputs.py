"""Models of numbers and of sets of labels in operation, by both engines and over HTTP."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import undoor
from helpers.other_tasks import images, regressor, repaired, tagger
from helpers.serving import serving
from undoor.classifier import Classifier
from undoor.deploy import ExportedModel
from undoor.device import array
from undoor.errors import UndoorError
from undoor.export.parity import odd_inputs
from undoor.guard import guard
from undoor.repairs.record import Repair
from undoor.serve.answers import answers
from undoor.serve.kept_input import KeptInput
from undoor.serve.onnx_engine import OnnxEngine
from undoor.serve.served_model import Engine, warmed_up
from undoor.serve.store import Store
from undoor.serve.torch_engine import TorchEngine
from undoor.vocabulary import POLICIES, Policy

Make = Callable[[], Classifier]
Pair = tuple[Classifier, Repair]
EXPORTED: tuple[Policy, ...] = ("relabel", "reject")
# Two that inputs can be at together, by model: neighbouring intervals, and two labels.
TARGETS = {regressor: (3, 4), tagger: (1, 3)}


def pair_of(make: Make) -> Pair:
    return repaired(make(), TARGETS[make])


@pytest.fixture(scope="module", params=TARGETS, ids=lambda make: make.__name__)
def pair(request: pytest.FixtureRequest) -> Pair:
    return pair_of(request.param)


@pytest.fixture(scope="module")
def files(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exported files: under "relabel" and "flag" the same inputs have predictions."""
    folder = tmp_path_factory.mktemp("others")
    return {
        policy: undoor.export(*pair, folder / f"{policy}.onnx", policy=policy).file
        for policy in EXPORTED
    }


@pytest.fixture(scope="module", params=POLICIES)
def engines(
    request: pytest.FixtureRequest, pair: Pair, files: dict[str, Path]
) -> tuple[Engine, Engine]:
    policy: Policy = request.param
    ours = TorchEngine(*pair, name="m", policy=policy)
    return ours, OnnxEngine(files[policy], name="m", threads=1) if policy in files else ours


def test_same_answers(engines: tuple[Engine, Engine], pair: Pair) -> None:
    """Those of both engines, and of the guard itself."""
    model, repair = pair
    plain = images(200, 11)
    x = array(torch.cat([plain, odd_inputs(model)]))
    ours, exported = (answers(warmed_up(each).model, x, each.run(x)) for each in engines)
    assert ours.reasons == exported.reasons
    np.testing.assert_array_equal(ours.targets, exported.targets)
    for one, other in ((ours.labels, exported.labels), (ours.model_labels, exported.model_labels)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    labels, flagged, _ = guard(model, repair, policy=engines[0].model.policy)(plain)
    np.testing.assert_allclose(ours.labels[:200], array(labels), rtol=1e-4, atol=1e-4)
    assert ours.flagged[:200].tolist() == flagged.tolist()
    assert 20 < int(flagged.sum()) < 180
    known = model.with_goals(repair.contract.goals)
    bare = known.predict(plain)
    np.testing.assert_allclose(ours.model_labels[:200], array(bare), rtol=1e-4, atol=1e-4)
    for place, item in enumerate(repair.targets):
        judged, of_these = ours.judged(item.target)
        assert judged == int(known.task.reached(bare, item.target).sum())
        # Counted for the first guard that it came to; the second is asked as well.
        assert of_these > 0 or place
    assert set(ours.reasons[200:]) <= {"out of range", "not finite"}
    assert [ours.form.plain(label) for label in ours.labels[200:]] == [None] * 6


def test_flagged_by_any_guard_is_flagged(pair: Pair) -> None:
    """Inputs that are at both targets are flagged where one of two guards alone flags them."""
    model, repair = pair
    x = images(200, 11)
    known = model.with_goals(repair.contract.goals)
    predicted = known.predict(x)
    both = [known.task.reached(predicted, item.target) for item in repair.targets]
    alone = [
        guard(
            model, undoor.repairs.remove(repair, {item.target for item in repair.targets} - {one})
        )
        for one in (item.target for item in repair.targets)
    ]
    flags = [each(x)[1] for each in alone]
    flagged = guard(model, repair)(x)[1]
    assert bool((both[0] & both[1]).any())
    assert bool((flags[0] & ~flags[1] & both[1]).any())
    assert torch.equal(flagged, flags[0] | flags[1])


def test_exported_files_in_a_program(pair: Pair, files: dict[str, Path]) -> None:
    """`undoor.deploy` gives what `undoor check` gives."""
    model, repair = pair
    x = images(60, 12)
    for policy, file in files.items():
        found = ExportedModel(file).predict(list(array(x)))
        known = model.with_goals(repair.contract.goals)
        labels, flagged, _ = guard(model, repair, policy=policy)(x)
        for prediction, label, flag in zip(found, labels.tolist(), flagged.tolist(), strict=True):
            assert prediction.flagged == flag
            assert prediction.rejected == known.task.is_withheld(label)
            if prediction.rejected:
                assert (prediction.label, prediction.class_name) == (None, None)
                continue
            np.testing.assert_allclose(np.array(prediction.label), label, rtol=1e-4, atol=1e-4)
            if isinstance(label, list):
                on = [item["label"] for item in prediction.to_json()["labels"]]
                assert on == [place for place, bit in enumerate(label) if bit]
            else:
                assert prediction.to_json()["unit"] == "weight"


def test_files_whose_guard_is_not_what_they_say(files: dict[str, Path], tmp_path: Path) -> None:
    content = onnx.load(files["relabel"])
    held = json.loads(content.metadata_props[0].value)
    for changed, told in (
        ({"targets": [0, 2]}, "expected a graph that guards the targets"),
        ({"policy": "reject"}, "expected a graph with the policy"),
        ({"outputs": {"kind": "class", "names": held["class_names"]}}, "export the model again"),
    ):
        onnx.helper.set_model_props(content, {"undoor": json.dumps(held | changed)})
        onnx.save(content, tmp_path / "changed.onnx")
        with pytest.raises(UndoorError, match=told):
            warmed_up(OnnxEngine(tmp_path / "changed.onnx", name="m"))


def test_over_http(pair: Pair, tmp_path: Path) -> None:
    model, repair = pair
    engine = TorchEngine(model, repair, name="m", policy="relabel")
    x = array(images(30, 13))
    guarded = answers(engine.model, x, engine.run(x))
    with serving(tmp_path, engine, keep=50) as client:
        rows = client.post("/classify", json={"rows": x.tolist()}).json()["results"]
        assert [row["flagged"] for row in rows] == guarded.flagged.tolist()
        for place, row in enumerate(rows):
            assert row["label"] == engine.model.outputs.plain(guarded.labels[place])
            assert row["model_label"] == guarded.bare_label(place)
            assert row["class"] == engine.model.outputs.shown(row["label"])
            assert ("unit" in row) == (model.task.name == "regression")
            assert ("labels" in row) == (model.task.name == "multi-label")
            assert (row["threshold"] is None) == (row["score"] is None)
        odd = json.dumps({"rows": [[float("nan")] * x[0].size]})
        head = {"content-type": "application/json"}
        (row,) = client.post("/classify", content=odd, headers=head).json()["results"]
        assert (row["label"], row["class"], row["reason"]) == (None, None, "not finite")
        _of_protocol(client, x, guarded.labels)
        kept = client.get("/guard/flagged").json()["flagged"]
        of_guard = [item for item in kept if item["reason"] == "backdoor"]
        flagged = [row for row in rows if row["flagged"]]
        assert [item["label"] for item in of_guard[-len(flagged) :]] == [
            row["label"] for row in reversed(flagged)
        ]
        assert all(item["class"] for item in of_guard)
        state = client.get("/guard/state").json()
        assert state["predicts"] in ("number", "labels")
        assert client.get(f"/guard/flagged/{kept[0]['number']}/picture").status_code == 200
        assert client.get("/openapi.json").status_code == 200


def _of_protocol(client: Any, x: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
    """The protocol gives logits and labels; JSON has null for a number that is withheld."""
    about = client.get("/v2/models/m").json()
    label = next(item for item in about["outputs"] if item["name"] == "label")
    assert label["shape"] == [-1, *labels.shape[1:]]
    given = np.concatenate([x, np.full_like(x[:1], np.nan)])
    tensor = {"name": "images", "datatype": "FP32", "shape": list(given.shape)}
    body = json.dumps({"inputs": [tensor | {"data": given.tolist()}]})
    head = {"content-type": "application/json"}
    answer = client.post("/v2/models/m/infer", content=body, headers=head)
    assert answer.status_code == 200, answer.text
    found = {item["name"]: item for item in answer.json()["outputs"]}
    assert found["label"]["datatype"] == label["datatype"]
    got = np.array(found["label"]["data"], np.float32).reshape(found["label"]["shape"])
    np.testing.assert_allclose(got[:-1], labels, rtol=1e-5)
    assert found["flagged"]["data"][-1] is True
    assert set(np.ravel(found["label"]["data"])[-max(1, got[0].size) :]) <= {None, -1}


def test_databases_of_before(tmp_path: Path) -> None:
    """They have no table of predictions: what they keep is read, and more is kept."""
    url = f"sqlite:///{tmp_path / 'flags.sqlite'}"
    one = KeptInput(1.0, "a" * 64, "b" * 64, 1, 2, 3.0, "backdoor", np.zeros(3, np.float32))
    with closing(Store(url)) as store:
        store.keep([one], 9)
    with closing(sqlite3.connect(tmp_path / "flags.sqlite")) as connection:
        connection.execute("DROP TABLE undoor_predictions")
        connection.commit()
    with closing(Store(url, create=False)) as store:
        assert [item.label for item in store.kept("a" * 64)] == [2]
    for label in ([0, 1], 31.25, None):
        more = KeptInput(
            1.0, "a" * 64, "b" * 64, 1, label, 3.0, "backdoor", np.zeros(3, np.float32)
        )
        with closing(Store(url)) as store:
            store.keep([more], 2)
            assert store.kept("a" * 64)[0].label == label
    with closing(sqlite3.connect(tmp_path / "flags.sqlite")) as connection:
        rows = connection.execute("SELECT prediction FROM undoor_predictions").fetchall()
    # Of the two that are kept, one has no prediction.
    assert rows == [("31.25",)]
