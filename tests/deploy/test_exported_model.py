"""Exported files classify as `undoor check` does, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from helpers.exported_files import exported, guarded_pair, pictures
from undoor.clean_set import read_images
from undoor.cli.check import _check
from undoor.deploy import ExportedModel, Prediction
from undoor.deploy.prediction import predictions, without_prediction
from undoor.errors import UndoorError
from undoor.output_forms.classes import Classes
from undoor.output_forms.numbers import Numbers
from undoor.vocabulary import MAX_SCORE, NO_SCORE, Policy

TOLERANCE = 1e-4
FORMS: list[tuple[Policy, bool]] = [("relabel", False), ("reject", False), ("relabel", True)]


def saved(folder: Path) -> list[Path]:
    files = []
    for number, pixels in enumerate(pictures()):
        files.append(folder / f"{number}.png")
        Image.fromarray(pixels).save(files[-1])
    grey = Image.fromarray(pictures()[-4]).convert("L")
    grey.save(folder / "grey.png")
    return [*files, folder / "grey.png"]


@pytest.mark.parametrize(("policy", "with_preprocessing"), FORMS)
def test_as_check(tmp_path: Path, policy: Policy, with_preprocessing: bool) -> None:
    model, repair = guarded_pair()
    files = saved(tmp_path)
    x, names, _ = read_images(files, model, any_range=True)
    rows = _check(model, repair, x, names, policy)
    served = ExportedModel(exported(policy, with_preprocessing).file)
    found = served.predict(files)
    assert {prediction.flagged for prediction in found} == {False, True}
    assert any(prediction.rejected for prediction in found) == (policy == "reject")
    for row, prediction in zip(rows, found, strict=True):
        wanted = row.to_json()
        got = prediction.to_json()
        assert got.pop("score") == pytest.approx(wanted.pop("score"), abs=TOLERANCE)
        assert got == {key: wanted[key] for key in got}
    # Whatever a picture is given as, and whatever is beside it.
    assert served.predict([file.read_bytes() for file in files[:2]]) == found[:2]
    assert served.predict([str(files[2])]) == found[2:3]
    assert served.predict(pictures()[:2]) == found[:2]


def test_numbers_are_taken_as_they_are() -> None:
    """Those that no picture has are flagged, and not predicted where they are no numbers."""
    model, _ = guarded_pair()
    served = ExportedModel(exported().file, threads=1)
    x = model.examples(3).numpy()
    x[1] *= 10
    x[2, 0, 0, 0] = np.nan
    good, beyond, unknown = served.predict(list(x))
    assert not good.rejected
    assert (beyond.flagged, beyond.rejected, beyond.score) == (True, False, MAX_SCORE)
    assert (unknown.flagged, unknown.label, unknown.class_name) == (True, -1, None)
    assert json.loads(json.dumps(unknown.to_json(), allow_nan=False))["rejected"] is True
    assert served.run(x)[0] == good
    assert served.run([]) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b"no picture", "one that cannot: not an image of a known format"),
        (Path("nowhere.png"), "one that cannot: it is gone"),
        (np.zeros((3, 8, 8), np.float32), r"numbers \[3, 32, 32\] of float32, got float32"),
        (np.zeros((3, 32, 32), np.int64), "got int64"),
        (np.zeros((4, 4, 7), np.uint8), "expected the pixels of a picture"),
    ],
)
def test_one_bad_input_is_named(given: Any, told: str) -> None:
    served = ExportedModel(exported().file)
    with pytest.raises(UndoorError, match=f"input 1: .*{told}"):
        served.predict([pictures()[0], given])


def test_pixels_for_files_that_prepare() -> None:
    served = ExportedModel(exported(with_preprocessing=True).file)
    assert served.prepare(pictures()[-4]).shape == (50, 70, 3)
    with pytest.raises(UndoorError, match="the preprocessing is part of this file"):
        served.prepare(np.zeros((3, 32, 32), np.float32))


@pytest.mark.parametrize("with_preprocessing", [False, True])
def test_what_was_not_prepared(with_preprocessing: bool) -> None:
    served = ExportedModel(exported(with_preprocessing=with_preprocessing).file)
    for wrong in (np.zeros((3, 32, 32)), np.zeros((4, 4, 1), np.uint8), np.zeros(3, np.float32)):
        with pytest.raises(UndoorError, match="give what prepare returns"):
            served.run([wrong])


def changed(folder: Path, metadata: dict[str, Any] | None) -> Path:
    """The file with other metadata; with none, an ONNX file of somebody else."""
    content = onnx.load(exported().file)
    held = json.loads(content.metadata_props[0].value)
    del content.metadata_props[:]
    if metadata is not None:
        text = json.dumps({k: v for k, v in {**held, **metadata}.items() if v is not None})
        onnx.helper.set_model_props(content, {"undoor": text})
    onnx.save(content, folder / "changed.onnx")
    return folder / "changed.onnx"


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (None, "an ONNX file without undoor's metadata, which guards nothing"),
        ({"schema": "undoor/export/9"}, "got undoor/export/9"),
        ({"task": "several labels", "outputs": None}, "got one for several labels"),
        ({"outputs": {"kind": "other"}}, "damaged or older"),
        ({"outputs": {"kind": "class", "names": ["a", "b"]}}, "outputs: 2 goals"),
        ({"task": None}, "damaged or older"),
        ({"preprocessing": None}, "export the model again"),
        ({"bounds": [1, 0]}, "damaged or older"),
        ({"preprocessing": {"schema": "undoor/preprocessing/2"}}, "of another version"),
    ],
)
def test_other_files(tmp_path: Path, metadata: dict[str, Any] | None, told: str) -> None:
    with pytest.raises(UndoorError, match=told):
        ExportedModel(changed(tmp_path, metadata))


def test_metadata_that_contradict_the_graph(tmp_path: Path) -> None:
    held = ExportedModel(exported().file).metadata["preprocessing"]
    file = changed(tmp_path, {"preprocessing": {**held, "in_graph": True}})
    with pytest.raises(UndoorError, match=r"expected the input pixels .* got images"):
        ExportedModel(file)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UndoorError, match="no such file"):
        ExportedModel(tmp_path / "nowhere.onnx")
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(UndoorError, match="expected an ONNX file of undoor export"):
        ExportedModel(tmp_path / "a.onnx")


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    file = exported().file
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UndoorError, match=r"onnxruntime.*pip install '\.\[deploy\]'"):
        ExportedModel(file)


def test_predictions() -> None:
    """Without a prediction: flagged, and no logit but 0 and those of the targets."""
    logits = np.array([[0, NO_SCORE, 0], [0, NO_SCORE, 1], [0, 0, 0], [3, 2, 1]], np.float32)
    flagged = np.array([True, True, False, False])
    score = np.array([2.0, 2.0, NO_SCORE, 0.5], np.float32)
    assert predictions(Classes(("a", "b", "c")), logits, flagged, score, (1,)) == [
        Prediction(-1, None, True, 2.0),
        Prediction(2, "c", True, 2.0),
        Prediction(0, "a", False, None),
        Prediction(0, "a", False, 0.5),
    ]


def test_without_prediction() -> None:
    """Flagged, one logit at least the lowest number, and all others 0."""
    logits = np.array([[0, NO_SCORE, 0]] * 2 + [[0, 0, 0], [0, NO_SCORE, 1]], np.float32)
    flagged = np.array([True, False, True, True])
    form = Classes(("a", "b", "c"))
    found = without_prediction(form, logits, flagged, np.zeros(4, np.float32), (1,))
    assert found.tolist() == [True, False, False, False]


def test_rejected_numbers() -> None:
    """Under "reject" a flagged number is none, though 0 might be predicted as well."""
    outputs = np.array([[0.0], [9.5]], np.float32)
    given = outputs, np.array([True, False]), np.array([9.3, NO_SCORE], np.float32), (3, 4)
    labels = [
        [each.label for each in predictions(Numbers("weight", 0.0, 7.0), *given, policy)]
        for policy in ("reject", "relabel")
    ]
    assert labels == [[None, 9.5], [0.0, 9.5]]


def test_needs_no_torch() -> None:
    code = f"""
import sys
from undoor.deploy import ExportedModel
import numpy
served = ExportedModel({str(exported().file)!r})
served.predict([numpy.zeros((9, 9, 3), numpy.uint8)])
print([name for name in ("torch", "scipy", "typer", "pydantic") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
