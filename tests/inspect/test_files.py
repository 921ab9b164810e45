"""Files of a model: what they are, what they would run, their hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import undoor
from helpers.hostile.pickled import reduced
from undoor.cli.show_inspection import _heading
from undoor.errors import UndoorError
from undoor.inspect import files
from undoor.inspect.files import inspect_files, weights_of


def test_a_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    torch.save({"w": torch.zeros(2)}, file)
    (facts,) = inspect_files(file)
    assert facts.safe
    assert facts.format == "torch checkpoint"
    assert facts.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert facts.size == file.stat().st_size
    assert ("torch._utils._rebuild_tensor_v2", "GLOBAL") in facts.globals


def test_what_would_run(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(reduced("true"))
    (facts,) = inspect_files(tmp_path / "w.pt")
    assert facts.problems[:2] == (
        "GLOBAL os.system: it is not part of a state dict",
        "REDUCE os.system: it is called",
    )
    assert facts.globals == (("os.system", "GLOBAL"),)


def test_a_toml_and_its_weights(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors")
    (tmp_path / "model.toml").write_text('[model]\nweights = "w.safetensors"\n')
    for model in (tmp_path, tmp_path / "model.toml"):
        assert [Path(f.path).name for f in inspect_files(model)] == ["w.safetensors", "model.toml"]


def test_the_file_with_the_weights(tmp_path: Path) -> None:
    graph = tmp_path / "net.onnx"
    graph.write_bytes(b"no matter what")
    assert weights_of(graph) == graph
    # A graph needs no architecture and no shape.
    (tmp_path / "model.toml").write_text('[model]\nweights = "net.onnx"\n')
    assert weights_of(tmp_path) == graph
    hugging_face = tmp_path / "saved"
    hugging_face.mkdir()
    (hugging_face / "config.json").write_text("{}")
    assert weights_of(hugging_face) is None
    for shard in ("1.safetensors", "2.safetensors"):
        (hugging_face / shard).write_bytes(b"")
        expected = hugging_face / shard if shard.startswith("1") else None
        assert weights_of(hugging_face) == expected


def test_a_folder_weights_first(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "modelling.py").write_text("import os")
    (tmp_path / "LICENSE").write_text("Apache-2.0")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "pytorch_model.bin").write_bytes(reduced("true"))
    save_file({"w": torch.zeros(2)}, tmp_path / "model.safetensors")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = inspect_files(tmp_path)
    assert {Path(f.path).name: f.safe for f in found} == {
        "loop": False,
        "pytorch_model.bin": False,
        "model.safetensors": True,
        "LICENSE": True,
        "config.json": True,
        "modelling.py": True,
    }
    assert [f.format for f in found[-3:]] == ["text", "text", "Python code, not run"]


def test_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 2)
    for name in "abc":
        (tmp_path / name).write_text(name)
    with pytest.raises(UndoorError, match="more than 2 files"):
        inspect_files(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(UndoorError, match="is empty"):
        inspect_files(tmp_path / "none")


def test_unreadable_is_not_called_unsafe(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2)}, tmp_path / "w.pt", pickle_protocol=4)
    (facts,) = inspect_files(tmp_path / "w.pt")
    assert not facts.safe
    assert facts.inert
    assert "nothing in it would run" in facts.problems[0]
    found = undoor.inspect(tmp_path / "w.pt")
    assert found.problem == "a file cannot be read; nothing of the model was opened"
    assert _heading(found) == ("red", "NOT OPENED: A FILE CANNOT BE READ")
    (tmp_path / "w.pt").write_bytes(reduced("true"))
    assert _heading(undoor.inspect(tmp_path / "w.pt")) == ("red", "NOT SAFE TO OPEN")
