"""Sealed files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from undoor.errors import UndoorError
from undoor.sealed import METADATA_KEY, is_sealed, sealed, unsealed

BY = "`somebody`"
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(document=documents, sides=st.lists(st.integers(0, 3), max_size=3))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, document: object, sides: list[int]
) -> None:
    file = tmp_path_factory.mktemp("sealed") / "a.safetensors"
    tensors = {"a": torch.rand(sides), "b/c": torch.full((2,), float("inf"))}
    file.write_bytes(sealed(document, tensors))
    back = unsealed(file, made_by=BY)
    assert back.description == document
    assert back.tensors.keys() == tensors.keys()
    assert all(torch.equal(back.tensors[name], value) for name, value in tensors.items())
    assert is_sealed(file)


def test_others_are_not_sealed(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "plain.safetensors", {"format": "pt"})
    (tmp_path / "empty.safetensors").write_bytes(b"")
    assert not any(is_sealed(path) for path in (*tmp_path.iterdir(), tmp_path / "nowhere"))
    with pytest.raises(
        UndoorError, match="a file that `somebody` writes, got another safetensors file"
    ):
        unsealed(tmp_path / "plain.safetensors", made_by=BY)
    with pytest.raises(UndoorError, match="no such file"):
        unsealed(tmp_path / "nowhere", made_by=BY)
    with pytest.raises(UndoorError, match="directory"):
        unsealed(tmp_path, made_by=BY)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", "{}", '{"content": 1}', "[" * 100_000, '{"a": NaN}',
     json.dumps({"content": float("nan"), "sha256": ""})],
)  # fmt: skip
def test_strange_metadata(tmp_path: Path, text: str) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", {METADATA_KEY: text})
    with pytest.raises(UndoorError, match="damaged"):
        unsealed(tmp_path / "a.safetensors", made_by=BY)


def test_numbers_of_another_type(tmp_path: Path) -> None:
    """What is not float32 was not written by us; float16 could not even be compared."""
    text = json.dumps({"content": 1, "sha256": "0"})
    save_file(
        {"a": torch.ones(1, dtype=torch.bfloat16)}, tmp_path / "a.safetensors", {METADATA_KEY: text}
    )
    with pytest.raises(UndoorError, match="expected float32"):
        unsealed(tmp_path / "a.safetensors", made_by=BY)
