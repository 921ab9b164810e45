"""The format of a file, by its content.

Names and endings are the sender's choice and are ignored, except for safetensors and TOML, which
have no magic number.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

from undoor.load.regular import open_regular

Format = Literal[
    "safetensors",
    "zip",
    "pickle",
    "toml",
    "ONNX",
    "XGBoost",
    "HDF5 (Keras)",
    "NumPy array",
    "tar",
    "7z",
    "rar",
    "gzip",
    "bzip2",
    "xz",
    "zstd",
    "GGUF",
    "native code",
    "picture",
    "PDF",
    "Parquet",
    "polyglot",
    "unknown",
]

MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x89HDF\r\n\x1a\n", "HDF5 (Keras)"),
    (b"\x93NUMPY", "NumPy array"),
    (b"GGUF", "GGUF"),
    (b"\x7fELF", "native code"),
    (b"MZ", "native code"),
    (b"\x89PNG\r\n\x1a\n", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"GIF8", "picture"),
    (b"BM", "picture"),
    (b"II*\0", "picture"),
    (b"MM\0*", "picture"),
    (b"%PDF-", "PDF"),
    (b"PAR1", "Parquet"),
    (b"{L\0\0\0\0\0\0\0\x07learner", "XGBoost"),
)
XGBOOST_JSON = re.compile(rb'\s*\{\s*"learner"\s*:\s*\{')
BLOCK = 512
# An ir_version of one byte, then producer_name, or a graph.
ONNX_START = b"\x08"
ONNX_SECOND = b"\x12\x1a\x2a\x32\x3a\x42"


def sniff(path: Path) -> Format:
    """Return the format of an ordinary file.

    "polyglot" is one that begins as something else and ends as a zip archive: readers that look at
    the one end and scanners that look at the other see different files.

    Raises
    ------
    UndoorError
        No ordinary, non-empty, readable file.
    """
    with open_regular(path) as stream:
        head = stream.read(BLOCK)
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    if XGBOOST_JSON.match(head):
        return "XGBoost"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "picture"
    # It is read only as safetensors, and strictly, whatever its tensors look like.
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return "safetensors"
    # A pickle may be written so that it is a tar header too: torch tries tar first. And what a tar
    # holds last may be a zip archive, as a checkpoint is.
    if _is_tar(head):
        return "tar"
    if _ends_as_zip(path):
        return "polyglot"
    if path.suffix == ".toml":
        return "toml"
    if head[:1] == ONNX_START and head[2:3] and head[2:3] in ONNX_SECOND:
        return "ONNX"
    return "pickle"


def _ends_as_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except (OSError, ValueError, zipfile.BadZipFile):
        return True


def _is_tar(head: bytes) -> bool:
    if len(head) < BLOCK or not head.strip(b"\0"):
        return False
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return head[257:262] == b"ustar"
    return True
