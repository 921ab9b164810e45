"""Descriptions of exported graphs: what would run anything but operators is a breach."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import undoor
from helpers import graph_work as work
from helpers.hostile import graphs
from undoor.errors import UndoorError
from undoor.load.check import examine
from undoor.load.pt2_graph import graph_breaches

# Of these torch itself runs what is in them, as the others it might some day.
LIVE = ("pt2_expression.pt2", "pt2_input_name.pt2", "pt2_from_file.pt2")


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(graphs.program())) as archive:
        name = next(n for n in archive.namelist() if n.endswith("models/model.json"))
        return json.loads(archive.read(name))


@pytest.mark.parametrize("name", graphs.programs("true"))
def test_hostile_programs(tmp_path: Path, name: str) -> None:
    canary, file = tmp_path / "canary", tmp_path / name
    file.write_bytes(graphs.programs(f"touch {canary}")[name])
    assert examine(file).breaches
    assert not undoor.inspect(file).safe
    with pytest.raises(UndoorError, match=r"no plain graph of tensors: its (description|graph)"):
        undoor.load(file)
    assert not canary.exists()
    if name in LIVE:
        with warnings.catch_warnings(), contextlib.suppress(Exception):
            warnings.simplefilter("ignore")
            torch.export.load(file).module(check_guards=False)(torch.rand(2, *graphs.SHAPE))
        assert canary.exists(), "the payload is dead: this test would pass without a screen"


def test_guards_are_not_run(tmp_path: Path) -> None:
    canary, file = tmp_path / "canary", tmp_path / "m.pt2"
    code = f"__import__('os').system('touch {canary}') or True"
    file.write_bytes(
        graphs.edited(graphs.program(), lambda document: document.update(guards_code=[code]))
    )
    classifier = undoor.load(file)
    classifier(torch.rand(3, *graphs.SHAPE))
    assert not canary.exists()


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("Symbol('s77', positive=True, integer=True)", True),
        ("Mul(Integer(4), FloorDiv(Symbol('s0', integer=True), Integer(2)))", True),
        ("2*s0 + 3*(s1//4) - 1", True),
        ("Max(1, u0) == 2", True),
        ("s0.__class__", False),
        ("__import__('os')", False),
        ("lambda: 0", False),
        ("s0**s1", False),
        ("Pow(Integer(9), Integer(9))", False),
        ("10" * 10, False),
        ("1e9", False),
        ("Symbol('s\\x30')", False),
        ('Symbol("s0")', False),
        ("s0;s1", False),
        ("[s0]", False),
        ("eval", False),
        ("s0 + " * 500 + "s0", False),
    ],
)
def test_expressions(text: str, allowed: bool) -> None:
    assert (not list(graph_breaches({"expr_str": text}))) == allowed


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("torch.ops.aten.conv2d.default", True),
        ("torch.ops.aten.mean.dim", True),
        ("_operator.mul", True),
        ("torch.ops.higher_order.wrap_with_set_grad_enabled", True),
        ("torch.ops.aten.save.default", False),
        ("torch.ops.aten.mean.__call__", False),
        ("torch.ops.aten.mean.overloads", False),
        ("torch.ops.aten.__class__.default", False),
        ("torch.ops.load_library", False),
        ("torch.ops.profiler._record_function_enter.default", False),
        ("torch.load", False),
        ("torch.hub.load", False),
        ("_operator.methodcaller", False),
        ("#custom:op", False),
    ],
)
def test_targets(target: str, allowed: bool) -> None:
    assert (not list(graph_breaches({"nodes": [{"target": target}]}))) == allowed


@pytest.mark.parametrize(
    "part",
    [
        {"as_custom_obj": {"name": "a", "class_fqn": "b"}},
        {"as_operator": "torch.os.system"},
        {"in_spec": '[1, {"context": "[\\"x=print()\\"]"}]'},
        {"in_spec": '[1, {"context": "{\\"__enum__\\": true}"}]'},
        {"in_spec": "{"},
        {"parameter_name": "a'b"},
        {"parameter_name": 'a")'},
        {"name": "x y"},
        {"name": "x\n"},
        {"tensor_values": {"x()": 1}},
    ],
)
def test_what_would_become_code(part: dict[str, Any]) -> None:
    assert list(graph_breaches({"graph": [part]}))


def test_nesting_that_goes_deep(described: dict[str, Any]) -> None:
    deep: Any = described
    for _ in range(100_000):
        deep = [deep]
    assert not list(graph_breaches(deep))


@pytest.mark.parametrize("kept", [True, False])
def test_parts_without_gradient_are_allowed(tmp_path: Path, kept: bool) -> None:
    class Frozen(nn.Module):
        """A part that is not trained, as feature extractors have it."""

        def __init__(self) -> None:
            super().__init__()
            self.body, self.out = nn.Linear(64, 8), nn.Linear(8, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.set_grad_enabled(kept):
                x = self.body(x.flatten(1))
            return self.out(x)

    file = work.pt2(Frozen().eval(), tmp_path / "m.pt2")
    assert examine(file).breaches == ()
