"""Operators that only compute, and those that reach files."""

from __future__ import annotations

import pytest
import torch

from undoor.load.operators import computes, overloads, reaching_files


@pytest.mark.parametrize("name", ["relu", "einsum", "batch_norm", "softmax", "_softmax"])
def test_computing(name: str) -> None:
    assert computes(name)


@pytest.mark.parametrize("name", ["save", "from_file", "system", "", "__class__"])
def test_others(name: str) -> None:
    assert not computes(name)


def test_every_file_name_of_an_operator_is_known() -> None:
    named = {
        schema.name
        for schema in torch._C._jit_get_all_schemas()
        if any("file" in argument.name for argument in schema.arguments)
    }
    assert named == {f"aten::{name}" for name in reaching_files()}


def test_overloads_are_those_of_torch_ops() -> None:
    assert overloads("mean") >= {"default", "dim"}
    assert all(hasattr(torch.ops.aten.mean, name) for name in ("default", "dim"))
    assert "overloads" not in overloads("mean")
    assert overloads("no_such_operator") == frozenset()
