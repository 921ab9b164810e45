"""The guarded model as a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import undoor
from helpers.guarded_networks import FAMILIES, inputs, subject
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.export import FORMATS, Export, onnx, pt2
from undoor.guard import Guarded, guard
from undoor.repair import Repair

RUNNERS = {"onnx": onnx.runner, "pt2": pt2.runner}
TOLERANCE = 1e-4


def families(*fast: str) -> pytest.MarkDecorator:
    """All of them; torch's exporters take seconds for those with many layers."""
    slow = pytest.mark.slow
    names = [name if name in fast else pytest.param(name, marks=slow) for name in FAMILIES]
    return pytest.mark.parametrize("family", names)


def require_same(guarded: Guarded, made: Export) -> None:
    """On batches of several sizes, with flagged inputs among them."""
    run = RUNNERS[made.format](made.file)
    for size in (1, 2, 7):
        for x in inputs(28, seed=9).split(size):
            for a, b in zip(guarded.logits(x), run(x), strict=True):
                assert a.dtype == b.dtype
                torch.testing.assert_close(b, a, rtol=0, atol=TOLERANCE)


@families("PlainCNN", "ViT")
def test_onnx_of_every_family(tmp_path: Path, family: str) -> None:
    model, repair = subject(family)
    made = undoor.export(model, repair, tmp_path / "g.onnx")
    guarded = guard(model, repair)
    flagged = guarded.logits(inputs(28, seed=9))[1]
    assert 2 < int(flagged.sum()) < 26
    require_same(guarded, made)
    assert made.parity.inputs > 10
    assert made.parity.largest <= TOLERANCE


@families("PlainCNN")
def test_pt2_of_every_family(tmp_path: Path, family: str) -> None:
    model, repair = subject(family)
    made = undoor.export(model, repair, tmp_path / "g.pt2", policy="reject")
    require_same(guard(model, repair, policy="reject"), made)


@pytest.fixture(scope="module")
def model() -> Classifier:
    return random_classifier("mlp_norm")


@pytest.fixture(scope="module")
def repair(model: Classifier) -> Repair:
    return make_repair(model)


def test_result(tmp_path: Path, model: Classifier, repair: Repair) -> None:
    file = tmp_path / "new" / "g.pt2"
    made = undoor.export(model, repair, file, rule="disagreement", policy="flag")
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert made.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    document = json.loads(json.dumps(made.to_json(), allow_nan=False))
    assert document["schema"] == "undoor/export/1"
    assert document["inputs"] == [{"name": "images", "dtype": "float32", "shape": ["batch", 8]}]
    assert [item["name"] for item in document["outputs"]] == ["logits", "flagged", "score"]
    about = document["metadata"]
    assert about["model_sha256"] == model.fingerprint()
    assert about["repair_sha256"] == repair.sha256()
    assert (about["rule"], about["policy"], about["holds"]) == ("disagreement", "flag", "guarded")
    assert (about["targets"], about["thresholds"]) == ([1, 3], [1.5, 4.5])
    assert [set(item) for item in about["calibrations"]] == 2 * [
        {"wanted_fpr", "n", "flagged", "flagged_interval"}
    ]
    assert about["class_names"] == list(model.class_names)


@pytest.mark.parametrize(
    ("file", "to", "told"),
    [
        ("g.onnx", "pt2", r"expected a file that ends in \.pt2, got 'g\.onnx'"),
        ("g", None, r"ends in \.onnx or \.pt2 or \.safetensors, got 'g'"),
        ("g.onnx", "onxn", "expected a format of onnx, pt2, safetensors, got 'onxn'"),
    ],
)
def test_unknown_format(
    tmp_path: Path, model: Classifier, repair: Repair, file: str, to: str | None, told: str
) -> None:
    with pytest.raises(UndoorError, match=told):
        undoor.export(model, repair, tmp_path / file, to=to)  # type: ignore[arg-type]


@pytest.mark.parametrize("to", FORMATS)
def test_refusals_leave_nothing(tmp_path: Path, model: Classifier, repair: Repair, to: str) -> None:
    file = tmp_path / f"g.{to}"
    with pytest.raises(UndoorError, match="made for another model"):
        undoor.export(random_classifier("mlp_norm", seed=1), repair, file)
    with pytest.raises(UndoorError, match="nothing to guard"):
        undoor.export(model, replace(repair, targets=()), file)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_answers_otherwise_is_not_written(
    tmp_path: Path, model: Classifier, repair: Repair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that stood there stays."""
    file = tmp_path / "g.pt2"
    file.write_bytes(b"the old one")
    honest = pt2.runner

    def wrong(written: Path) -> object:
        run = honest(written)

        def answer(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            logits, flagged, score = run(x)
            return logits + 1e-2, flagged, score

        return answer

    monkeypatch.setattr(pt2, "runner", wrong)
    with pytest.raises(UndoorError, match="disagrees with the guarded model: logits"):
        undoor.export(model, repair, file)
    assert file.read_bytes() == b"the old one"
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_unknown_policy(tmp_path: Path, model: Classifier, repair: Repair) -> None:
    with pytest.raises(UndoorError, match="policy must be one of"):
        undoor.export(model, repair, tmp_path / "g.onnx", policy="drop")
