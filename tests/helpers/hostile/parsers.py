"""Each parser of ours as a function of bytes that must end in an answer or an `UndoorError`.

Where our answer is "safe", the reader that comes next must not be surprised either.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from onnx import ModelProto
from onnx.shape_inference import infer_shapes
from safetensors.torch import load

from helpers.hostile import repairs
from undoor.clean_set import read_classes, read_clean_set
from undoor.clean_set.class_names import Found, number
from undoor.errors import UndoorError
from undoor.load.archives import content, open_screened_stream
from undoor.load.check import examine
from undoor.load.onnx_file import screen_onnx
from undoor.load.pickles import Screening, screen_member, screen_stream
from undoor.load.safetensors_header import require_safe_header
from undoor.load.spec import read_spec
from undoor.render.sanitise import line, markdown, sarif
from undoor.repairs.encoding import decoded, encoded
from undoor.repairs.record import Repair
from undoor.sealed import Sealed, unsealed

LARGEST = 2**20
PATH = Path("fuzzed")


def pickled(data: bytes) -> None:
    """A member, a file of pickles; what passes does nothing under torch's restricted reader."""
    member, stream = Screening(), Screening()
    screen_member(data, "data.pkl", member)
    screen_stream(io.BytesIO(data), len(data), stream)
    if not (stream.breaches or stream.damage):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                torch.load(io.BytesIO(data), weights_only=True)
            except MemoryError:
                raise
            except Exception:
                return


def zipped(data: bytes) -> None:
    """What passes is read by zipfile to the end, or found damaged by it."""
    with open_screened_stream(io.BytesIO(data), PATH) as archive:
        for name in archive.namelist():
            content(archive, name, PATH, LARGEST)


def checkpoint(data: bytes) -> None:
    """A file of any format, as `undoor inspect` takes it."""
    with _file(data, ".pt") as file:
        safety = examine(file)
        if safety.breaches or safety.format not in ("torch checkpoint", "pickle"):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                torch.load(file, map_location="cpu", weights_only=True)
            except MemoryError:
                raise
            except Exception:
                return


def safetensors(data: bytes) -> None:
    """What passes is read by the format's own library, dtypes newer than it aside."""
    with _file(data, ".safetensors") as file:
        shapes = require_safe_header(file)
        if any(dtype.startswith(("F4", "F6", "F8_E8")) for dtype, _ in shapes.values()):
            return
        if set(map(len, shapes)) == {0}:
            return
        read = load(data)
    assert {name: tuple(value.shape) for name, value in read.items()} == {
        name: shape for name, (_, shape) in shapes.items()
    }


def toml(data: bytes) -> None:
    with _file(data, ".toml") as file:
        read_spec(file, {})


def npz(data: bytes) -> None:
    with _file(data, ".npz") as file:
        read_clean_set(file)


def tar(data: bytes) -> None:
    with _file(data, ".tar") as file:
        read_clean_set(file)


def parquet(data: bytes) -> None:
    with _file(data, ".parquet") as file:
        read_clean_set(file)


def onnx(data: bytes) -> None:
    """What passes has a size that its reader can bear: its shapes are inferred without end."""
    with _file(data, ".onnx") as file:
        if screen_onnx(file):
            return
        model = ModelProto.FromString(data)
    try:
        infer_shapes(model)
    except MemoryError:
        raise
    except Exception:
        return


def names(data: bytes) -> None:
    """Class names as text and as JSON, and what becomes of a label of that name."""
    for suffix in (".txt", ".json"):
        with _file(data, suffix) as file:
            found = list(read_classes(str(file)))
        for text in found[:20]:
            assert line(text).isprintable()
            assert "\n" not in markdown(text) + sarif(text)
        if found:
            number(Found(found[:1], "fuzzed"), None, found)


def repair(data: bytes) -> None:
    """A description whose seal is whole; what passes can be written, and read again as the same."""
    description, tensors = repairs.read(data)
    made = decoded(Sealed(description, tensors, ""), PATH)
    json.dumps(Repair(**vars(made)).to_json())
    again = encoded(made)
    with _file(again, ".safetensors") as file:
        assert encoded(decoded(unsealed(file, made_by="a fuzzer"), file)) == again


PARSERS: dict[str, Callable[[bytes], None]] = {
    parser.__name__: parser
    for parser in (
        *(pickled, zipped, checkpoint, safetensors, toml),
        *(npz, tar, parquet, onnx, names, repair),
    )
}


def survive(name: str, data: bytes) -> bool:
    """Whether a parser took the data; False where it refused it. Anything else is a bug."""
    try:
        PARSERS[name](data)
    except UndoorError:
        return False
    return True


class _file:  # noqa: N801
    """A file with this content, taken away afterwards."""

    def __init__(self, data: bytes, suffix: str) -> None:
        handle, name = tempfile.mkstemp(suffix=suffix)
        os.close(handle)
        self.path = Path(name)
        self.path.write_bytes(data)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.path.unlink()
