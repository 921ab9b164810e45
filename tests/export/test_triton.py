"""The model repository of Triton, read as Triton reads it: as protobuf text."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

import undoor
from helpers.exported_files import exported, guarded_pair
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier
from undoor.errors import UndoorError
from undoor.export.triton import config, require_name, write_repository

# Of model_config.proto of Triton's repository `common`: what is used of its messages, with its
# names and types. Text names fields, not their numbers. Repeated ones have a star.
MESSAGES = {
    "ModelTensorReshape": {"shape": "int64*"},
    "ModelInput": {
        "name": "string", "data_type": "DataType", "dims": "int64*",
        "reshape": "ModelTensorReshape",
    },
    "ModelOutput": {
        "name": "string", "data_type": "DataType", "dims": "int64*",
        "reshape": "ModelTensorReshape", "label_filename": "string",
    },
    "ModelDynamicBatching": {
        "preferred_batch_size": "int32*", "max_queue_delay_microseconds": "uint64",
    },
    "ModelParameter": {"string_value": "string"},
    "ParametersEntry": {"key": "string", "value": "ModelParameter"},
    "ModelConfig": {
        "name": "string", "platform": "string", "backend": "string", "max_batch_size": "int32",
        "input": "ModelInput*", "output": "ModelOutput*",
        "dynamic_batching": "ModelDynamicBatching", "parameters": "ParametersEntry*",
    },
}  # fmt: skip
DATA_TYPES = ("TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_FP32")
Field = descriptor_pb2.FieldDescriptorProto


@functools.cache
def model_config() -> Any:
    """The class of `ModelConfig`."""
    file = descriptor_pb2.FileDescriptorProto(name="config.proto", package="t", syntax="proto3")
    kinds = file.enum_type.add(name="DataType")
    for number, name in enumerate(DATA_TYPES):
        kinds.value.add(name=name, number=number)
    for message, fields in MESSAGES.items():
        made = file.message_type.add(name=message)
        for number, (name, kind) in enumerate(fields.items(), 1):
            field = made.field.add(name=name, number=number)
            field.label = Field.LABEL_REPEATED if kind.endswith("*") else Field.LABEL_OPTIONAL
            plain = kind.rstrip("*")
            if plain in MESSAGES or plain == "DataType":
                field.type_name = f".t.{plain}"
                field.type = Field.TYPE_ENUM if plain == "DataType" else Field.TYPE_MESSAGE
            else:
                field.type = getattr(Field, f"TYPE_{plain.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.ModelConfig"))


def parsed(text: str) -> Any:
    return text_format.Parse(text, model_config()())


def test_a_wrong_field_would_be_seen() -> None:
    with pytest.raises(text_format.ParseError):
        parsed('names: "a"')
    with pytest.raises(text_format.ParseError):
        parsed("input { data_type: TYPE_FLOAT }")


@pytest.mark.parametrize(
    ("with_preprocessing", "taken"),
    [
        (False, ("images", "TYPE_FP32", [3, 32, 32])),
        (True, ("pixels", "TYPE_UINT8", [-1, -1, 3])),
    ],
)
def test_repository(
    tmp_path: Path, with_preprocessing: bool, taken: tuple[str, str, list[int]]
) -> None:
    made = exported(with_preprocessing=with_preprocessing)
    file = write_repository(made, tmp_path / "models")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")) == [
        "models/guarded/1/model.onnx",
        "models/guarded/config.pbtxt",
    ]
    assert (file.parent / "1" / "model.onnx").read_bytes() == made.file.read_bytes()
    got = parsed(file.read_text())
    assert (got.name, got.backend) == ("guarded", "onnxruntime")
    assert got.max_batch_size > 1
    assert got.dynamic_batching.max_queue_delay_microseconds > 0
    (given,) = got.input
    assert (given.name, DATA_TYPES[given.data_type], list(given.dims)) == taken
    assert [
        (item.name, DATA_TYPES[item.data_type], list(item.dims), item.HasField("reshape"))
        for item in got.output
    ] == [
        ("logits", "TYPE_FP32", [4], False),
        # Triton has no tensors without axes: of size 1 outside, of none inside.
        ("flagged", "TYPE_BOOL", [1], True),
        ("score", "TYPE_FP32", [1], True),
    ]
    model, repair = guarded_pair()
    told = {item.key: item.value.string_value for item in got.parameters}
    assert told == {
        "model_sha256": model.fingerprint(),
        "repair_sha256": repair.sha256(),
        "policy": "relabel",
    }


def test_again_in_its_place(tmp_path: Path) -> None:
    first = write_repository(exported(), tmp_path).read_text()
    assert write_repository(exported(), tmp_path).read_text() == first == config(exported())


@pytest.mark.parametrize("name", ["guarded.pt2", "a b.onnx", "ä.onnx", '".onnx', ".onnx"])
def test_names(name: str) -> None:
    with pytest.raises(UndoorError, match="expected an ONNX file named with letters"):
        require_name(Path(name))


def test_other_formats(tmp_path: Path) -> None:
    model = random_classifier("mlp_norm")
    made = undoor.export(model, make_repair(model), tmp_path / "g.pt2")
    with pytest.raises(UndoorError, match="expected an ONNX file"):
        write_repository(made, tmp_path / "models")
    assert not (tmp_path / "models").exists()
