"""A model repository for NVIDIA Triton: the exported ONNX file and its `config.pbtxt`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from undoor.errors import UndoorError
from undoor.export.result import Export
from undoor.files import write_atomically, write_text

CONFIG = "config.pbtxt"
FILE = "model.onnx"
VERSION = "1"
TYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8", "bool": "TYPE_BOOL"}
# Triton puts requests together that arrive within a delay, up to a size.
MAX_BATCH = 64
MAX_DELAY = 1000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def write_repository(export: Export, folder: str | Path) -> Path:
    """Add an exported ONNX file to a model repository of Triton.

    The model has the name of the file without its ending. A version 1 that is there is replaced.

    Parameters
    ----------
    folder
        The model repository; made if it is missing.

    Returns
    -------
    Path
        The `config.pbtxt` of the model.

    Raises
    ------
    UndoorError
        The file is no ONNX file of a guarded model, or its name is none for Triton.
    """
    require_name(export.file)
    model = Path(folder) / export.file.stem
    write_atomically(model / VERSION / FILE, lambda path: shutil.copyfile(export.file, path))
    write_text(model / CONFIG, config(export))
    return model / CONFIG


def require_name(file: Path) -> None:
    """Refuse a file that cannot be a model of Triton.

    Raises
    ------
    UndoorError
        It does not end in .onnx, or its name has other characters than letters, digits, "-", "_".
    """
    if file.suffix.lower() != ".onnx" or not NAME.fullmatch(file.stem):
        raise UndoorError(
            "expected an ONNX file named with letters, digits, - and _ for Triton, such as "
            f"guarded.onnx, got {file.name!r}"
        )


def config(export: Export) -> str:
    """Return the `config.pbtxt` of an export, as protobuf text."""
    document = export.to_json()
    about = document["metadata"]
    lines = [
        f"name: {_text(export.file.stem)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {MAX_BATCH}",
        *(_tensor("input", item) for item in document["inputs"]),
        *(_tensor("output", item) for item in document["outputs"]),
        f"dynamic_batching {{ max_queue_delay_microseconds: {MAX_DELAY} }}",
        *(_parameter(key, about[key]) for key in ("model_sha256", "repair_sha256", "policy")),
    ]
    return "\n".join(lines) + "\n"


def _tensor(way: str, item: Mapping[str, Any]) -> str:
    # The batch is Triton's own axis; those of any size are -1.
    sizes = [side if isinstance(side, int) else -1 for side in item["shape"][1:]]
    # One number per input has no axis in the graph, and one of size 1 in Triton.
    dims = ", ".join(map(str, sizes or [1]))
    reshape = "" if sizes else " reshape { shape: [ ] }"
    kind = TYPES[item["dtype"]]
    return f"{way} {{ name: {_text(item['name'])} data_type: {kind} dims: [ {dims} ]{reshape} }}"


def _parameter(key: str, value: str) -> str:
    return f"parameters {{ key: {_text(key)} value {{ string_value: {_text(value)} }} }}"


def _text(value: str) -> str:
    return json.dumps(value)
