"""Headers of safetensors files, held to their format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.hostile.broken import F32, safetensors, stored
from undoor.errors import UndoorError
from undoor.load.safetensors_header import require_safe_header


@pytest.mark.parametrize("name", safetensors())
def test_broken_headers(tmp_path: Path, name: str) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(safetensors()[name])
    with pytest.raises(UndoorError, match=r"not a readable safetensors file|an empty file"):
        require_safe_header(file)


def test_shapes_of_what_the_library_writes(tmp_path: Path) -> None:
    state = {
        "a": torch.zeros(2, 3),
        "b": torch.zeros((), dtype=torch.int64),
        "c": torch.zeros(5, dtype=torch.bfloat16),
        "d": torch.zeros(3, dtype=torch.bool),
        "e": torch.zeros(0, 4),
    }
    save_file(state, tmp_path / "w.safetensors", {"note": "x"})
    shapes = require_safe_header(tmp_path / "w.safetensors")
    assert {name: shape for name, (_, shape) in shapes.items()} == {
        name: tuple(value.shape) for name, value in state.items()
    }


def test_many_axes(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(stored({"a": {**F32, "shape": [1] * 70 + [2]}}))
    with pytest.raises(UndoorError, match="'a' of F32"):
        require_safe_header(file)
