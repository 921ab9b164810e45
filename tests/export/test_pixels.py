"""The preprocessing inside the graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import undoor
from helpers.exported_files import exported, guarded_pair, pictures
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.export import GuardedGraph
from undoor.export import pixels as room
from undoor.export.parity import compare
from undoor.export.pixel_probes import pixel_probes
from undoor.guard import guard
from undoor.preparation import Preparation
from undoor.resizing import Resizing

TOLERANCE = 1e-4


def test_parity_of_the_file() -> None:
    """Any size in; what the guarded model says of the same pictures, prepared by Pillow."""
    made = exported(with_preprocessing=True)
    model, repair = guarded_pair()
    session = onnxruntime.InferenceSession(str(made.file))
    guarded = guard(model, repair)
    seen = set()
    for picture in pictures():
        got = session.run(["logits", "flagged", "score"], {"pixels": picture[None]})
        x = torch.from_numpy(Preparation.of(model).prepared(picture))[None]
        for a, b in zip(got, guarded.logits(x), strict=True):
            torch.testing.assert_close(torch.from_numpy(a), b, rtol=0, atol=TOLERANCE)
        seen.add(bool(got[1][0]))
    assert seen == {False, True}
    assert made.parity.inputs > 20
    assert made.parity.largest <= TOLERANCE


def test_what_the_file_says() -> None:
    made = exported(with_preprocessing=True)
    session = onnxruntime.InferenceSession(str(made.file))
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type) == ("pixels", "tensor(uint8)")
    assert taken.shape == ["batch", "height", "width", 3]
    about = json.loads(session.get_modelmeta().custom_metadata_map["undoor"])
    assert about["preprocessing"]["in_graph"] is True
    assert about["preprocessing"]["resize"] == {
        "size": [32, 32], "first": None, "resample": "bilinear",
    }  # fmt: skip
    document = json.loads(json.dumps(made.to_json()))
    assert document["inputs"] == [
        {"name": "pixels", "dtype": "uint8", "shape": ["batch", "height", "width", 3]}
    ]


def test_pt2_with_crop(tmp_path: Path) -> None:
    small = random_classifier("conv_norm")
    resizing = Resizing((6, 6), 8, "bicubic")
    model = Classifier(small.network, input_shape=(3, 6, 6), resizing=resizing)
    repair = make_repair(model)
    made = undoor.export(model, repair, tmp_path / "g.pt2", with_preprocessing=True)
    run = torch.export.load(made.file).module()
    guarded = guard(model, repair)
    for picture in pictures()[-4:]:
        x = torch.from_numpy(Preparation.of(model).prepared(picture))[None]
        for a, b in zip(run(torch.from_numpy(picture)[None]), guarded.logits(x), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=TOLERANCE)


def test_probes_have_many_sizes() -> None:
    model, _ = guarded_pair()
    found = pixel_probes(Preparation.of(model), [model.examples(2)])
    assert len({probe.given.shape for probe in found}) == len(found) > 4
    assert all(probe.given.dtype == torch.uint8 for probe in found)
    assert {tuple(probe.inputs.shape[1:]) for probe in found} == {(3, 32, 32)}
    # Both orders of Pillow's passes.
    sizes = [probe.given.shape[1:3] for probe in found]
    assert {h > 32 and h - 32 > 2 * (w - 32) for h, w in sizes} == {False, True}


def test_a_graph_that_resizes_otherwise_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with another version of Pillow: the order of its passes changes what is rounded."""
    model, repair = guarded_pair()
    guarded = guard(model, repair)
    preparation = Preparation.of(model)
    graph = room.PixelGraph(GuardedGraph(guarded), preparation)
    found = pixel_probes(preparation, [model.examples(2)])
    assert compare(guarded, graph, found).largest < 1e-6
    monkeypatch.setattr(room, "_down_then_right", room._right_then_down)
    with pytest.raises(UndoorError, match="disagrees with the guarded model"):
        compare(guarded, graph, found)


def test_refusals(tmp_path: Path) -> None:
    vectors = random_classifier("mlp_norm")
    with pytest.raises(UndoorError, match="expected a model of grey or colour pictures"):
        undoor.export(vectors, make_repair(vectors), tmp_path / "g.pt2", with_preprocessing=True)
    small = random_classifier("conv_norm")
    with pytest.raises(UndoorError, match="holds weights alone"):
        undoor.export(
            small, make_repair(small), tmp_path / "g.safetensors", with_preprocessing=True
        )
    nearest = Resizing((6, 6), 8, "nearest")
    model = Classifier(small.network, input_shape=(3, 6, 6), resizing=nearest)
    with pytest.raises(UndoorError, match="expected a filter that a graph can reproduce"):
        undoor.export(model, make_repair(model), tmp_path / "g.pt2", with_preprocessing=True)
    assert list(tmp_path.iterdir()) == []


def test_pixels_of_the_models_size_stay() -> None:
    model, _ = guarded_pair()
    preparation = Preparation.of(model)
    made = room.PixelGraph(torch.nn.Identity(), preparation)  # type: ignore[arg-type]
    picture = pictures()[0]
    got = made.prepared(torch.from_numpy(picture)[None])[0].numpy()
    assert np.array_equal(got, picture.transpose(2, 0, 1).astype(np.float32))
