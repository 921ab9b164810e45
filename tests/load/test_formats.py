"""Formats told by content, whatever a file is called."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from helpers.hostile.archived import checkpoint, tarred, zipped
from helpers.hostile.broken import onnx
from helpers.hostile.pickled import reduced
from undoor.errors import UndoorError
from undoor.load.formats import sniff
from undoor.load.regular import open_regular

STATE = {"w": torch.zeros(2)}


def tar_that_is_a_pickle() -> bytes:
    """Its first member's name is a pickle; torch tries tar first."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("cos\nsystem\n."))
    data = bytearray(stream.getvalue())
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (save(STATE), "safetensors"),
        (zipped(checkpoint()), "zip"),
        (reduced("true"), "pickle"),
        (reduced("true") + zipped(checkpoint()), "polyglot"),
        (tarred("true"), "tar"),
        (tar_that_is_a_pickle(), "tar"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (onnx("x"), "ONNX"),
        (b"\x89HDF\r\n\x1a\n", "HDF5 (Keras)"),
        (bytes(4096), "pickle"),
    ],
)
def test_told_by_content(tmp_path: Path, data: bytes, name: str) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(data)
    assert sniff(file) == name


def test_endings_that_count(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.toml"):
        (tmp_path / name).write_bytes(b"anything")
    assert sniff(tmp_path / "a.safetensors") == "safetensors"
    assert sniff(tmp_path / "a.toml") == "toml"


def test_only_ordinary_files(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path, what in ((tmp_path, "a folder"), (tmp_path / "empty", "an empty file")):
        with pytest.raises(UndoorError, match=what):
            open_regular(path)
    with pytest.raises(UndoorError, match="cannot be opened"):
        open_regular(tmp_path / "a\0b")
