"""Models in an OCI image layout."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from undoor.errors import UndoorError
from undoor.fleet.oci import laid_out
from undoor.fleet.sources import find_models


def blob(layout: Path, data: bytes) -> dict[str, Any]:
    sha = hashlib.sha256(data).hexdigest()
    folder = layout / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / sha).write_bytes(data)
    return {"digest": f"sha256:{sha}", "size": len(data), "mediaType": "application/octet-stream"}


def layout_of(folder: Path, files: dict[str, bytes], kind: str = "") -> Path:
    """A layout with one model of these files."""
    layers = []
    for name, data in files.items():
        layer = blob(folder, data)
        layer["annotations"] = {"org.opencontainers.image.title": name}
        layer["mediaType"] = kind or layer["mediaType"]
        layers.append(layer)
    manifest = blob(folder, json.dumps({"schemaVersion": 2, "layers": layers}).encode())
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"manifests": [manifest]}))
    return folder


FILES = {"model.toml": b"[model]", "nets/net.py": b"x = 1"}


def test_files_get_their_names(tmp_path: Path) -> None:
    layout = layout_of(tmp_path / "sign", FILES)
    (item,) = find_models([str(layout)], tmp_path / "downloads")
    assert item.parts[-2:] == ("sign", "v1")
    made = Path(item.path)
    assert {p.relative_to(made).as_posix(): p.read_bytes() for p in made.rglob("*.*")} == FILES
    assert find_models([str(layout)], tmp_path / "downloads") == [item]


def test_a_changed_blob_is_refused(tmp_path: Path) -> None:
    layout = layout_of(tmp_path / "sign", {"m.onnx": b"good"})
    (layout / "blobs" / "sha256" / hashlib.sha256(b"good").hexdigest()).write_bytes(b"evil")
    with pytest.raises(UndoorError, match="its SHA-256 is"):
        laid_out(layout, tmp_path / "downloads")
    assert not [*(tmp_path / "downloads").glob("[!.]*")]


@pytest.mark.parametrize("name", ["../evil.py", "/etc/x", "a/../../x", "", "a\\b"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UndoorError, match="plain name"):
        laid_out(layout_of(tmp_path / "sign", {name: b"x"}), tmp_path / "downloads")


def test_archives_are_refused(tmp_path: Path) -> None:
    layout = layout_of(tmp_path / "s", {"m": b"x"}, "application/vnd.oci.image.layer.v1.tar+gzip")
    with pytest.raises(UndoorError, match=r"single files.*unpack it"):
        laid_out(layout, tmp_path / "downloads")


@pytest.mark.parametrize(
    "index", ["", "[]", "{}", '{"manifests": 3}', '{"manifests": []}', '{"manifests": [{}]}',
              '{"manifests": [{"digest": "sha256:../../x"}]}', '{"manifests": [1]}']
)  # fmt: skip
def test_damaged_layouts(tmp_path: Path, index: str) -> None:
    layout = layout_of(tmp_path / "sign", FILES)
    (layout / "index.json").write_text(index)
    with pytest.raises(UndoorError, match="sign"):
        laid_out(layout, tmp_path / "downloads")
