"""Pointers and error pages in the place of files, and texts in other codings."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
import torch

import undoor
from undoor.errors import UndoorError
from undoor.load.mistaken import read_text
from undoor.load.spec import read_tables

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 45000000\n"
SAVED = io.BytesIO()
torch.save({"w": torch.zeros(2)}, SAVED)


def packed() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("run/model.pth", SAVED.getvalue())
        archive.writestr("run/readme.txt", "x")
    return stream.getvalue()


PROMISED = {".onnx": "ONNX file", ".pt2": "torch.export archive"}
PLACES = {
    "LFS": (LFS, "is a Git LFS pointer, not the file itself; run: git lfs pull"),
    "old LFS": (LFS.replace(b"git-lfs.github", b"hawser.github"), "Git LFS pointer"),
    "Xet": (b"# xet version 0\nfilesize = 1\n", "Xet pointer"),
    "annex": (b"/annex/objects/SHA256E-s1--ab.pt\n", "run: git annex get"),
    "DVC": (b"outs:\n- md5: 0123\n  path: w.pt\n", "run: dvc pull"),
    "page": (b"\n<!DOCTYPE html><html><head><title>Sign in</title>", "web page.*again"),
    "S3": (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "AccessDenied"),
    "JSON": (b'{"error": "Repository not found"}', "is JSON.*Repository not found.*again"),
    "JSON with a mark": (b'\xef\xbb\xbf{"error": 1}', "is JSON"),
    "text": (b"Entry not found", r"is a text \(Entry not found\), not a model"),
    "gzip": (gzip.compress(SAVED.getvalue()), "format gzip.*unpack it"),
    "zip": (packed(), r"zip archive that holds 'run/model.pth'.*unpack it"),
    "empty": (b"", "is an empty file"),
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".onnx", ".pt2", ""])
@pytest.mark.parametrize("name", PLACES)
def test_what_stands_in_the_place_of_weights(tmp_path: Path, name: str, suffix: str) -> None:
    data, why = PLACES[name]
    if name == "text" and suffix in PROMISED:
        why = rf"is a text \(Entry not found\), no {PROMISED[suffix]}; .*export it again"
    if suffix == ".safetensors" and name in ("text", "gzip", "zip"):
        return
    file = tmp_path / f"w{suffix}"
    file.write_bytes(data)
    with pytest.raises(UndoorError, match=why) as caught:
        undoor.load(file, architecture="nowhere:Net", input_shape=(3, 4, 4))
    assert "\n" not in str(caught.value)
    assert any(why.split(".*")[0].split("(")[0].rstrip("\\ ") in problem.replace("\n", " ")
               for problem in undoor.inspect(file).files[0].problems)  # fmt: skip


def test_nothing_of_a_page_reaches_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"<html>\x1b[31m\xe2\x80\xaered\x07" + b"x" * 9999)
    with pytest.raises(UndoorError, match="web page") as caught:
        undoor.load(tmp_path / "w.pt", architecture="a:b")
    assert str(caught.value).isprintable()


def test_byte_order_marks(tmp_path: Path) -> None:
    text = '[model]\nweights = "w.pt"\narchitecture = "timm:resnet18"\n'
    (tmp_path / "model.toml").write_bytes(text.encode("utf-8-sig"))
    assert read_tables(tmp_path, {})[1]["model"]["architecture"] == "timm:resnet18"
    for data, why in (
        (text.encode("utf-16"), "UTF-16.*save it again as UTF-8"),
        (text.encode("utf-16-le"), "UTF-16.*save it again as UTF-8"),
        (text.replace("w.pt", "\xe9.pt").encode("latin-1"), "not in UTF-8"),
        (LFS, "Git LFS pointer"),
    ):
        (tmp_path / "model.toml").write_bytes(data)
        with pytest.raises(UndoorError, match=why):
            read_tables(tmp_path, {})
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa")
    assert read_text(tmp_path / "a.txt") == "a"
