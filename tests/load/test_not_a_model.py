"""Files and folders that are given as the model by mistake."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import undoor
from undoor.errors import UndoorError

PICTURES = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")


def refused(path: Path) -> str:
    """Why `path` is no model; the same with an architecture and without."""
    with pytest.raises(UndoorError) as bare:
        undoor.load(path)
    with pytest.raises(UndoorError) as named:
        undoor.load(path, architecture="timm:resnet18", input_shape=(3, 4, 4))
    assert str(bare.value) == str(named.value)
    found = undoor.inspect(path)
    assert not found.opened
    problems = [found.problem, *(text for file in found.files for text in file.problems)]
    assert any(str(bare.value).endswith(str(text)) for text in problems)
    assert "\n" not in str(bare.value)
    assert "expected" in str(bare.value) or "is a repair" in str(bare.value)
    return str(bare.value)


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("name", ["picture.png", "weights.pt", "weights.bin"])
def test_pictures(tmp_path: Path, kind: str, name: str) -> None:
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / name, kind)
    told = refused(tmp_path / name)
    assert "is a picture, not a model" in told
    assert "undoor check" in told


def test_code(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("import torch\n\nclass Net(torch.nn.Module): ...\n")
    told = refused(file)
    assert "is Python code, not a model" in told
    assert f"--architecture {file}:CALLABLE" in told


@pytest.mark.parametrize("size", [10, 9000])
def test_json(tmp_path: Path, size: int) -> None:
    file = tmp_path / "config.json"
    for content, what in (
        ({"model_type": "resnet"}, f"give its folder, {tmp_path}"),
        ({"schema": "undoor/scan/6"}, r"is a result of undoor (undoor/scan/6)"),
        ({"error": "not found"}, "download it again"),
    ):
        file.write_text(json.dumps({**content, "more": "x" * size}))
        assert what in refused(file)


def test_repairs(tmp_path: Path) -> None:
    (tmp_path / "fix").mkdir()
    file = tmp_path / "fix" / "any.safetensors"
    save_file({"repair/0/direction": torch.zeros(2)}, file)
    assert f"--repair {file.parent}" in refused(file.parent)
    assert "is a repair, which holds corrections and no model" in refused(file)


def test_folder_of_pictures(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(3):
            Image.new("L", (4, 4)).save(tmp_path / label / f"{number}.png")
    (tmp_path / "readme.txt").write_text("some pictures")
    told = refused(tmp_path)
    assert "is a folder of pictures, not of a model" in told
    assert "--data" in told


def test_tar_of_a_checkpoint(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"w": torch.zeros(2)}, stream)
    with tarfile.open(tmp_path / "m.tar", "w") as archive:
        member = tarfile.TarInfo("w.pt")
        member.size = len(stream.getvalue())
        archive.addfile(member, io.BytesIO(stream.getvalue()))
    told = refused(tmp_path / "m.tar")
    assert "is of the format tar" in told
    assert "unpack it" in told


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoint_named_safetensors(tmp_path: Path, zipped: bool) -> None:
    file = tmp_path / "model.safetensors"
    torch.save({"w": torch.zeros(2)}, file, _use_new_zipfile_serialization=zipped)
    told = refused(file)
    assert "under the name of a safetensors file" in told
    assert "rename it to model.pt" in told
    file.write_bytes(pickle.dumps({"w": 1}, protocol=4))
    assert "is a pickle" in refused(file)


def test_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 4, 4), np.uint8))
    np.save(tmp_path / "x.npy", np.zeros(3))
    for name in ("x.npz", "x.npy"):
        assert "give them as --data" in refused(tmp_path / name)


def test_a_json_that_is_a_pointer_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UndoorError, match="git lfs pull"):
        undoor.load(tmp_path / "a.json")
