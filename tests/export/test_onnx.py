"""ONNX files, seen with ONNX's own eyes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import undoor
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.export import onnx as room
from undoor.repairs.record import Repair


def subject() -> tuple[Classifier, Repair]:
    """Two targets, the raw input corrected, and most of the weights in one layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Linear(8, 4000), nn.BatchNorm1d(4000), nn.ReLU(), nn.Linear(4000, 4)
        )
    model = Classifier(network, input_shape=(8,), bounds=(0, 255), scale=0.01)
    h = Correction(*(torch.full((8,), v) for v in (0.5, 0.1, -9.0, 9.0)))
    made = make_repair(model)
    items = (replace(item, corrections={"entry": h}, sites=item.sites[:1]) for item in made.targets)
    return model, replace(made, targets=tuple(items))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    return undoor.export(*subject(), folder / "g.onnx").file


def test_inputs_and_outputs(file: Path) -> None:
    session = onnxruntime.InferenceSession(str(file))
    assert [(i.name, i.shape, i.type) for i in session.get_inputs()] == [
        ("images", ["batch", 8], "tensor(float)")
    ]
    assert [(o.name, o.shape, o.type) for o in session.get_outputs()] == [
        ("logits", ["batch", 4], "tensor(float)"),
        ("flagged", ["batch"], "tensor(bool)"),
        ("score", ["batch"], "tensor(float)"),
    ]


def test_torchvision_is_not_missed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    undoor.export(*subject(), tmp_path / "g.onnx")
    assert "torchvision is not installed" not in caplog.text
    # Other messages still come.
    with room._without_torchvision():
        room.REGISTRATION.warning("something else")
    assert "something else" in caplog.text


def test_says_what_it_is(file: Path) -> None:
    model, repair = subject()
    told = onnxruntime.InferenceSession(str(file)).get_modelmeta().custom_metadata_map
    about = json.loads(told["undoor"])
    assert about["model_sha256"] == model.fingerprint()
    assert about["repair_sha256"] == repair.sha256()
    assert about["class_names"] == list(model.class_names)
    assert (about["input_shape"], about["bounds"]) == ([8], [0, 255])


def test_one_small_standard_file(file: Path) -> None:
    """Standard operators; nothing of this machine."""
    content = onnx.load(file)
    assert {item.domain for item in content.opset_import} <= {"", "ai.onnx"}
    assert len(list(file.parent.iterdir())) == 1
    told = file.read_bytes()
    assert not any(mark in told for mark in (b"site-packages", b"/undoor/", b".py"))


def test_weights_once(file: Path) -> None:
    """Though three networks use them."""
    weights = sum(value.nbytes for value in subject()[0].state_dict().values())
    assert weights > 200_000
    assert file.stat().st_size < 1.5 * weights


def test_same_bytes(file: Path, tmp_path: Path) -> None:
    again = undoor.export(*subject(), tmp_path / "other.onnx").file
    assert again.read_bytes() == file.read_bytes()


def test_runs_without_torch_and_undoor(file: Path) -> None:
    code = f"""
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession({str(file)!r})
images = numpy.zeros((3, 8), "float32")
logits, flagged, score = session.run(["logits", "flagged", "score"], {{"images": images}})
assert logits.shape == (3, 4) and flagged.shape == score.shape == (3,)
assert flagged.dtype == bool and not {{"torch", "undoor"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", room.LIBRARIES)
def test_missing_library(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    model = random_classifier("mlp")
    with pytest.raises(UndoorError, match=rf"library {name}, .*pip install '\.\[onnx-export\]'"):
        undoor.export(model, make_repair(model), tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []
