"""Models in an OCI image layout on disk: their files are blobs, named by annotations."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from undoor.errors import UndoorError
from undoor.files import sha256_of

MARK, INDEX = "oci-layout", "index.json"
TITLE = "org.opencontainers.image.title"
REFERENCE = "org.opencontainers.image.ref.name"
MAX_JSON = 2**22
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
ARCHIVE = re.compile(r"tar|gzip|zstd")


def is_layout(folder: Path) -> bool:
    """Return whether a folder is an OCI image layout."""
    return (folder / MARK).is_file() and (folder / INDEX).is_file()


def laid_out(layout: Path, downloads: Path) -> dict[str, Path]:
    """Return a folder for each model of a layout, with its files under their own names.

    Parameters
    ----------
    layout
        The layout; every blob that is used is held to its SHA-256.
    downloads
        Where the folders are made, under the digests of their manifests.

    Returns
    -------
    dict
        By the name that the layout's index gives them, or the start of their digest.

    Raises
    ------
    UndoorError
        The layout is damaged, or a layer is an archive or has no plain name.
    """
    out: dict[str, Path] = {}
    for entry in _list(_read(layout / INDEX), "manifests", layout):
        digest = _digest_of(entry, layout)
        manifest = _read(_blob(layout, digest))
        name = str((entry.get("annotations") or {}).get(REFERENCE) or digest[:12])
        folder = downloads / digest
        if not folder.is_dir():
            _lay_out(layout, manifest, folder)
        out[name if name not in out else f"{name}@{digest[:12]}"] = folder
    if not out:
        raise UndoorError(f"{layout} is an OCI layout without manifests; expected one model each")
    return out


def _lay_out(layout: Path, manifest: dict[str, Any], folder: Path) -> None:
    staging = folder.with_name(f".{folder.name}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for name, blob in _layers(layout, manifest):
        file = staging / name
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(blob, file)
        except OSError:
            shutil.copyfile(blob, file)
    staging.rename(folder)


def _layers(layout: Path, manifest: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    for layer in _list(manifest, "layers", layout):
        kind = str(layer.get("mediaType", ""))
        if ARCHIVE.search(kind):
            raise UndoorError(
                f"{layout}: expected layers that are single files, got one of {kind}; unpack it, "
                "and give the folder"
            )
        title = str((layer.get("annotations") or {}).get(TITLE) or "")
        path = PurePosixPath(title)
        if not title or path.is_absolute() or ".." in path.parts or "\\" in title or "\0" in title:
            raise UndoorError(
                f"{layout}: expected layers with a plain name ({TITLE}), got {title!r}; do not "
                "trust this layout"
            )
        yield title, _blob(layout, _digest_of(layer, layout))


def _blob(layout: Path, digest: str) -> Path:
    """Return the file of a blob, which has the SHA-256 that it is named by."""
    file = layout / "blobs" / "sha256" / digest
    if not file.is_file():
        raise UndoorError(f"{layout}: the blob {digest} is missing; fetch the layout again")
    found = sha256_of(file)
    if found != digest:
        raise UndoorError(f"{file}: its SHA-256 is {found}; fetch the layout again")
    return file


def _digest_of(entry: Any, layout: Path) -> str:
    found = DIGEST.fullmatch(str(entry.get("digest"))) if isinstance(entry, dict) else None
    if found is None:
        raise UndoorError(f"{layout}: expected entries with a sha256 digest; it is damaged")
    return found[1]


def _list(document: dict[str, Any], key: str, layout: Path) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise UndoorError(f"{layout}: expected a list of {key}; it is damaged, or an index of more")
    return value


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_JSON:
            raise UndoorError(f"{file} has more than {MAX_JSON:,} bytes; expected a manifest")
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UndoorError(f"{file} cannot be read as JSON ({error}); fetch it again") from error
    if not isinstance(found, dict):
        raise UndoorError(f"{file}: expected a JSON object; fetch the layout again")
    return found
