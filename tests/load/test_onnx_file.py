"""ONNX files that reach for other files or other code."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from helpers.hostile.broken import onnx
from undoor.errors import UndoorError
from undoor.load import onnx_file
from undoor.load.onnx_file import screen_onnx


def whys(tmp_path: Path, data: bytes) -> list[str]:
    file = tmp_path / "m.onnx"
    file.write_bytes(data)
    return [breach.why for breach in screen_onnx(file)]


def test_beside_is_well(tmp_path: Path) -> None:
    assert whys(tmp_path, onnx("weights.bin")) == []


@pytest.mark.parametrize("place", ["../w.bin", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "\n"])
def test_elsewhere_is_not(tmp_path: Path, place: str) -> None:
    assert "expected a file beside it" in whys(tmp_path, onnx(place))[0]


def test_links_lead_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "w.bin").symlink_to("/etc/passwd")
    assert "expected a file beside it" in whys(tmp_path, onnx("w.bin"))[0]


def test_own_operators(tmp_path: Path) -> None:
    assert "operators of 'evil.ops'" in whys(tmp_path, onnx("w.bin", "evil.ops"))[0]


def test_tensors_within_nodes_and_graphs(tmp_path: Path) -> None:
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[2])
    tensor.external_data.add(key="location", value="/etc/passwd")
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    inner = helper.make_graph([constant], "inner", [], [])
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    model = helper.make_model(helper.make_graph([branch], "g", [], []))
    assert len(whys(tmp_path, model.SerializeToString())) == 1


def test_damaged_and_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for data, message in ((onnx("w.bin")[:30], "truncated"), (b"\x08\x08", "no nodes")):
        with pytest.raises(UndoorError, match=message):
            whys(tmp_path, data)
    monkeypatch.setattr(onnx_file, "LARGEST", 10)
    with pytest.raises(UndoorError, match="more than 10 bytes"):
        whys(tmp_path, onnx("w.bin"))
