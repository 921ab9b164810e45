"""What fuzzers start from: small valid files, the hostile ones, and what fuzzing has kept."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import torch
from safetensors.torch import save

from helpers.hostile import archived, broken, data_sets, graphs_of_functions, pickled, repairs

CORPUS = Path(__file__).parents[2] / "corpus"
LARGEST = 4096
COMMAND = "true"
TOML = b"""[model]
weights = "weights.safetensors"
architecture = "nets.py:net"
arguments = { num_classes = 3 }
[input]
shape = [3, 4, 4]
mean = [0.5, 0.5, 0.5]
[classes]
names = ["stop", "yield"]
"""


def valid(parser: str) -> list[bytes]:
    """Files that the parser takes."""
    return _valid()[parser]


def hostile(parser: str) -> list[bytes]:
    """Small hostile files of the parser's kind."""
    return [data for data in _hostile()[parser] if len(data) <= LARGEST]


@functools.cache
def _valid() -> dict[str, list[bytes]]:
    state = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2), "n": torch.tensor(3)}
    zipped, old = io.BytesIO(), io.BytesIO()
    torch.save(state, zipped)
    torch.save(state, old, _use_new_zipfile_serialization=False)
    pickles = [data for name, data in archived.members_of(state) if name.endswith("data.pkl")]
    return {
        "pickled": [*pickles, old.getvalue()],
        "zipped": [zipped.getvalue(), archived.zipped([("a", b"b" * 50)], packed=True)],
        "checkpoint": [zipped.getvalue(), old.getvalue(), save(state)],
        "safetensors": [save(state), broken.stored({"w": broken.F32})],
        "toml": [TOML],
        "npz": [data_sets.valid_npz()],
        "tar": [data_sets.valid_tar()],
        "parquet": [data_sets.valid_parquet(kind) for kind in ("none", "zstd")],
        "onnx": [broken.onnx("weights.bin"), graphs_of_functions.model(3)],
        "names": [b'["a", "b"]', b'\xef\xbb\xbf["a"]'],
        "repair": repairs.valid(),
    }


@functools.cache
def _hostile() -> dict[str, list[bytes]]:
    pickles = [make(COMMAND) for make in pickled.MAKERS.values()]
    archives = list(archived.make(COMMAND).values())
    return {
        "pickled": pickles,
        "zipped": archives,
        "checkpoint": [*pickles, *archives],
        "safetensors": list(broken.safetensors().values()),
        "toml": [b"[model]\nweights = 1", b"[modle]", b"model = 3"],
        "npz": list(data_sets.npzs().values()),
        "tar": list(data_sets.tars().values()),
        "parquet": [],
        "onnx": [graphs_of_functions.model(40), b"\x3a\x04\x0a\x00\x0a\x00"],
        "names": [b'["' + b"a" * 2000 + b'"]', b"\xff\xfe\x00", b"[" * 3000],
        "repair": repairs.hostile(),
    }


def kept(parser: str) -> list[bytes]:
    """What fuzzing found worth keeping."""
    return [file.read_bytes() for file in sorted((CORPUS / parser).glob("*"))]


def seeds(parser: str) -> list[bytes]:
    return [*valid(parser), *hostile(parser), *kept(parser)]
