"""Both engines give the same answers, under every policy; only one of them takes torch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import undoor
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.classifier import Classifier
from undoor.device import array
from undoor.errors import UndoorError
from undoor.export.parity import odd_inputs
from undoor.guard import guard
from undoor.repairs.record import Repair
from undoor.serve.answers import answers
from undoor.serve.onnx_engine import OnnxEngine, sha256_of
from undoor.serve.served_model import Engine, warmed_up
from undoor.serve.torch_engine import TorchEngine
from undoor.vocabulary import POLICIES, Policy


@pytest.fixture(scope="module")
def subject() -> tuple[Classifier, Repair]:
    """Both targets flag about half of the inputs that are predicted as them."""
    model = random_classifier("mlp_norm", seed=1)
    x = model.examples(400, torch.Generator().manual_seed(1))
    labels = model.predict(x)
    often = labels.bincount(minlength=4).argsort(descending=True).tolist()
    made = make_repair(model, targets=tuple(sorted(often[:2])))
    _, _, score = guard(model, made)(x)
    items = []
    for item in made.targets:
        middle = float(score[labels == item.target].median())
        items.append(replace(item, calibration=replace(item.calibration, threshold=middle)))
    return model, replace(made, targets=tuple(items))


@pytest.fixture(scope="module", params=POLICIES)
def engines(
    request: pytest.FixtureRequest,
    subject: tuple[Classifier, Repair],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Engine, Engine]:
    policy: Policy = request.param
    file = tmp_path_factory.mktemp("engines") / "guarded.onnx"
    undoor.export(*subject, file, policy=policy)
    return (
        TorchEngine(*subject, name="m", policy=policy),
        OnnxEngine(file, name="m", sha256=sha256_of(file), threads=1),
    )


def test_same_answers(engines: tuple[Engine, Engine], subject: tuple[Classifier, Repair]) -> None:
    model, repair = subject
    plain = model.examples(200, torch.Generator().manual_seed(2))
    x = array(torch.cat([plain, odd_inputs(model)]))
    ours, exported = (answers(engine.model, x, engine.run(x)) for engine in engines)
    assert ours.reasons == exported.reasons
    assert ours.labels.tolist() == exported.labels.tolist()
    assert ours.targets.tolist() == exported.targets.tolist()
    np.testing.assert_allclose(ours.logits, exported.logits, rtol=1e-3, atol=1e-3)
    # What they mean, by the guard itself.
    policy = engines[0].model.policy
    labels, flagged, _ = guard(model, repair, policy=policy)(plain)
    assert ours.labels[:200].tolist() == labels.tolist()
    assert ours.flagged[:200].tolist() == flagged.tolist()
    assert 0 < int(flagged.sum()) < 200
    bare = model.predict(plain).tolist()
    assert [ours.bare_label(row) for row in range(200)] == bare
    flagged_for = set(ours.targets[:200][flagged.numpy()].tolist())
    assert flagged_for == {item.target for item in repair.targets}
    assert (ours.labels[200:] == -1).all()


def test_same_description(engines: tuple[Engine, Engine]) -> None:
    ours, exported = (engine.model for engine in engines)
    assert set(ours.triggers) == set(exported.triggers) == set(ours.targets)
    alike = (replace(model, platform="", triggers={}) for model in (ours, exported))
    assert next(alike) == next(alike)
    for picture in exported.triggers.values():
        with Image.open(io.BytesIO(picture)) as image:
            assert image.format == "PNG"
    for engine in engines:
        assert warmed_up(engine) is engine


def test_torch_is_not_imported(exported: Path, tmp_path: Path) -> None:
    """Neither by the engine nor by anything of the service or its command."""
    code = f"""
import sys
from pathlib import Path
from starlette.testclient import TestClient
import undoor.cli, undoor.cli.serve, undoor.serve.run
from undoor.serve.app import application
from undoor.serve.onnx_engine import OnnxEngine
from undoor.serve.settings import Settings
engine = OnnxEngine(Path({str(exported)!r}), name="m")
app = application(engine, Settings(database="sqlite:///{tmp_path}/f.sqlite", keep=3))
size = 1
for side in engine.model.contract.input_shape: size *= side
with TestClient(app) as client:
    for content in ({{"rows": [[0.5] * size]}}, {{"rows": [[9.0] * size]}}):
        assert client.post("/classify", json=content).status_code == 200
    assert client.post("/classify", content=b"x", headers={{"content-type": "image/png"}})
    for path in ("/metrics", "/guard/state", "/guard/flagged", "/guard/flagged/1/picture", "/"):
        assert client.get(path).status_code == 200, path
assert "torch" not in sys.modules, "torch was imported"
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def changed(file: Path, **about: str | None) -> Path:
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {k: v for k, v in about.items() if v is not None})
    other = file.with_name("other.onnx")
    onnx.save(model, other)
    return other


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = random_classifier("mlp")
    return undoor.export(model, make_repair(model), tmp_path_factory.mktemp("e") / "g.onnx").file


@pytest.mark.parametrize(
    ("about", "told"),
    [
        (None, "expected a guarded model"),
        ("no JSON", "metadata are damaged or older"),
        ('{"holds": "corrected"}', "metadata are damaged or older"),
        ("[]", "metadata are damaged or older"),
        ("[" * 100_000, "metadata are damaged or older"),
        ('{"schema": "undoor/export/0", "task": "single label"}', "expected an export of"),
        ('{"schema": "undoor/export/1", "task": "single label"}', "damaged or older ones"),
    ],
)
def test_other_files_are_refused(exported: Path, about: str | None, told: str) -> None:
    with pytest.raises(UndoorError, match=told):
        OnnxEngine(changed(exported, undoor=about), name="m")


def test_what_is_no_onnx_file_is_refused(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(UndoorError, match="no such file"):
        OnnxEngine(tmp_path / "nowhere.onnx", name="m")
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(UndoorError, match="expected an ONNX file of undoor export"):
        OnnxEngine(tmp_path / "x.onnx", name="m")
    with pytest.raises(UndoorError, match="the file has changed"):
        OnnxEngine(exported, name="m", sha256="0" * 64)


def test_promises(exported: Path) -> None:
    """Four clean inputs promise little; where there were none, the wish is all there is."""
    model = OnnxEngine(exported, name="m").model
    assert [guard.promised for guard in model.guards] == [0.81, 0.02]


def test_a_file_of_an_older_version(exported: Path) -> None:
    """It says nothing of promises: the default is what is held against it; nor of triggers."""
    text = next(p.value for p in onnx.load(exported).metadata_props if p.key == "undoor")
    about = json.loads(text)
    del about["calibrations"], about["triggers"]
    model = OnnxEngine(changed(exported, undoor=json.dumps(about)), name="m").model
    assert [guard.promised for guard in model.guards] == [0.01, 0.01]
    assert model.triggers == {}


@pytest.mark.parametrize(
    "triggers", [{"1": "no base64"}, {"1": "aGk="}, {"x": ""}, ["a"], {"1": 3}]
)
def test_triggers_that_are_no_pictures(exported: Path, triggers: object) -> None:
    text = next(p.value for p in onnx.load(exported).metadata_props if p.key == "undoor")
    about = json.dumps(json.loads(text) | {"triggers": triggers})
    with pytest.raises(UndoorError, match="its description is not one of undoor"):
        OnnxEngine(changed(exported, undoor=about), name="m")


@pytest.mark.parametrize(
    "calibration",
    [
        {"wanted_fpr": -5},
        {"wanted_fpr": 0},
        {"wanted_fpr": 1},
        {"wanted_fpr": float("nan")},
        {"flagged_interval": [0, 7]},
        {"flagged_interval": [0, float("nan")]},
    ],
)
def test_promises_that_are_no_shares(exported: Path, calibration: dict[str, object]) -> None:
    with pytest.raises(UndoorError, match="expected a wanted_fpr above 0 and below 1"):
        OnnxEngine(edited(exported, calibrations=[calibration] * 2), name="m")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"targets": [0, 99]}, "targets: expected numbers from 0 to 3, each once"),
        ({"targets": [-1, 1]}, "targets: expected numbers"),
        ({"targets": [1, 1]}, "targets: expected numbers"),
        ({"targets": [True, 0]}, "targets: expected numbers"),
        ({"targets": [1.5, 0]}, "targets: expected numbers"),
        ({"targets": []}, "targets: expected numbers"),
        ({"targets": 1}, "damaged or older ones"),
        ({"thresholds": [float("nan"), 1]}, "thresholds: expected 2 finite numbers"),
        ({"thresholds": [10**400, 1]}, "damaged or older ones"),
        ({"thresholds": [1.0]}, "thresholds: expected 2 finite numbers"),
        ({"targets": [1, 2]}, "expected a graph that guards the targets"),
        ({"targets": [1], "thresholds": [1.0]}, "expected a graph that guards"),
        ({"policy": "flag"}, "expected a graph with the policy 'flag'.*got one with 'relabel'"),
        ({"policy": "reject"}, "expected a graph with the policy 'reject'"),
        ({"policy": "none"}, "expected a graph with the policy 'none'"),
    ],
)
def test_edited_metadata_are_refused(exported: Path, edit: dict[str, object], message: str) -> None:
    with pytest.raises(UndoorError, match=message) as refused:
        OnnxEngine(edited(exported, **edit), name="m")
    assert "\n" not in str(refused.value)


def edited(exported: Path, **edit: object) -> Path:
    text = next(p.value for p in onnx.load(exported).metadata_props if p.key == "undoor")
    return changed(exported, undoor=json.dumps(json.loads(text) | edit))
