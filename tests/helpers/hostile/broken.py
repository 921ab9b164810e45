"""Files that are broken, declare what is not there, or are no files at all."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from helpers.hostile import graphs_of_functions

F32: dict[str, Any] = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def stored(header: Any, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors() -> dict[str, bytes]:
    again = json.dumps({"w": F32}).encode()
    return {
        "header_beyond_file": struct.pack("<Q", 2**40) + b"{}",
        "header_of_all_bits": struct.pack("<Q", 2**64 - 1) + b"{}",
        "header_no_json": stored(b"{" * 1000),
        "header_deep": stored(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "header_list": stored([1, 2]),
        "header_twice": stored(again[:-1] + b"," + again[1:]),
        "overlap": stored({"a": F32, "b": F32}),
        "gap": stored({"a": {**F32, "data_offsets": [4, 12]}}, bytes(12)),
        "beyond_end": stored({"a": {**F32, "data_offsets": [0, 800], "shape": [200]}}),
        "huge_shape": stored({"a": {**F32, "shape": [2**40, 2**40]}}),
        "wrapping_shape": stored({"a": {**F32, "shape": [2**32, 2**32, 2]}}),
        "negative": stored({"a": {**F32, "shape": [-2]}}),
        "unknown_dtype": stored({"a": {**F32, "dtype": "P32"}}),
        "numbers_as_text": stored({"a": {**F32, "shape": ["2"]}}),
        "no_offsets": stored({"a": {"dtype": "F32", "shape": [2]}}),
        "empty": b"",
        "seven_bytes": b"\x08\0\0\0\0\0\0",
    }


def long_pickle() -> bytes:
    """Many opcodes for nothing."""
    return b"\x80\x02]" + b"N0" * 50_000 + b"."


def onnx(location: str, domain: str = "") -> bytes:
    from onnx import TensorProto, helper

    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    node = helper.make_node("Add", ["x", "w"], ["y"], domain=domain)
    shape = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in "xy"]
    graph = helper.make_graph([node], "g", shape[:1], shape[1:], [weight])
    opsets = [helper.make_opsetid(domain, 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())


def others() -> dict[str, bytes]:
    return {
        "empty.pt": b"",
        "zeros.pt": bytes(4096),
        "noise.pt": random.Random(0).randbytes(4096),
        "stop.pt": b".",
        "html.pt": b"<!DOCTYPE html><html>Not found</html>",
        "lfs_pointer.pt": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "elf.pt": b"\x7fELF" + bytes(100),
        "huge_string.pt": b"\x80\x04\x8e" + (2**50).to_bytes(8, "little") + b"x.",
        "huge_number.pt": b"\x80\x02\x8b" + (2**30).to_bytes(4, "little") + b"x.",
        "huge_memo.pt": b"\x80\x02}r\xff\xff\xff\x7f.",
        "deep.pt": b"\x80\x02)" + b"\x85" * 200_000 + b".",
        "long.pt": long_pickle(),
        "gguf.gguf": b"GGUF" + bytes(100),
        "outside.onnx": onnx("../../../etc/passwd"),
        "absolute.onnx": onnx("/etc/passwd"),
        "own_operators.onnx": onnx("beside.bin", "evil.ops"),
        "truncated.onnx": onnx("beside.bin")[:30],
        "doubling.onnx": graphs_of_functions.model(40),
        "empty_nodes.onnx": b"\x3a\xc2\x9a\x0c" + b"\x0a\x00" * 100_001,
        "bad.toml": b"[model\nweights=",
        "outside.toml": b'[model]\nweights = "/dev/zero"\narchitecture = "a.py:b"\n',
    }


def not_finite(folder: Path) -> list[Path]:
    weights = torch.zeros(2, 3)
    made = []
    for name, value in (("nan", float("nan")), ("inf", float("inf"))):
        bad = weights.clone()
        bad[0, 0] = value
        made += [folder / f"{name}.safetensors", folder / f"{name}.pt"]
        save_file({"weight": bad}, made[-2])
        torch.save({"weight": bad}, made[-1])
    return made


def no_files(folder: Path) -> list[Path]:
    """Folders, pipes, devices, loops: what is no file, or never ends."""
    made = [folder / name for name in ("folder", "pipe", "loop", "nowhere", "zero", "looping")]
    made[0].mkdir()
    os.mkfifo(made[1])
    made[2].symlink_to(made[2])
    made[3].symlink_to(folder / "missing")
    made[4].symlink_to("/dev/zero")
    made[5].mkdir()
    (made[5] / "again").symlink_to(made[5])
    with socket.socket(socket.AF_UNIX) as listening:
        # The path of a socket may have some hundred characters only.
        there = Path.cwd()
        os.chdir(folder)
        listening.bind("socket")
        os.chdir(there)
    return [*made, folder / "socket", Path("/dev/zero"), Path("/dev/full"), folder / "absent"]


def write_all(folder: Path) -> list[Path]:
    made = []
    named = {f"{name}.safetensors": data for name, data in safetensors().items()}
    for name, data in {**named, **others()}.items():
        file = folder / name
        file.write_bytes(data)
        made.append(file)
    return [*made, *not_finite(folder), *no_files(folder)]
