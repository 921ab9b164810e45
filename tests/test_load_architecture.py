"""Importing a network's code, and what is said where that fails."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from undoor.errors import UndoorError
from undoor.load.architecture import build

CODE = """
import sys
from torch import nn
import neighbour_of_archs

class Tiny(nn.Module):
    def __init__(self, num_classes=2):
        super().__init__()
        self.fc = nn.Linear(3, num_classes)
    def forward(self, x):
        return self.fc(x)

def tiny(num_classes=2): return Tiny(num_classes)
def text(): return "no network"
def fails(): raise KeyError("depth")
def leaves(): sys.exit(0)
finished = Tiny(4)
number = 3
"""


@pytest.fixture
def archs(tmp_path: Path) -> Path:
    (tmp_path / "neighbour_of_archs.py").write_text("")
    file = tmp_path / "archs.py"
    file.write_text(CODE)
    return file


def test_file(archs: Path) -> None:
    before = list(sys.path)
    network = build(f"{archs}:tiny", {"num_classes": 5}, archs.parent)
    assert network(torch.zeros(1, 3)).shape == (1, 5)
    assert sys.path == before


def test_network_can_be_copied_and_pickled(archs: Path) -> None:
    network = build(f"{archs}:Tiny", {}, archs.parent)
    copies = copy.deepcopy(network), pickle.loads(pickle.dumps(network))
    assert all(torch.equal(c.fc.weight, network.fc.weight) for c in copies)


def test_package(tmp_path: Path) -> None:
    package = tmp_path / "undoor_test_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("from torch import nn\ndef tiny(): return nn.Linear(3, 2)\n")
    assert isinstance(build("undoor_test_package.nets:tiny", {}, tmp_path), nn.Linear)


def test_callables_and_networks(archs: Path) -> None:
    network = nn.Linear(3, 2)
    copied = build(network, {}, archs.parent)
    assert copied is not network
    built = build(nn.Linear, {"in_features": 3, "out_features": 2}, archs.parent)
    assert isinstance(built, nn.Linear)
    assert build(f"{archs}:finished", {}, archs.parent)(torch.zeros(1, 3)).shape == (1, 4)
    with pytest.raises(UndoorError, match="finished network and takes no arguments"):
        build(network, {"num_classes": 2}, archs.parent)


def test_random_numbers_of_the_caller_are_left_alone(archs: Path) -> None:
    before = torch.random.get_rng_state()
    build(f"{archs}:tiny", {}, archs.parent)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("tyni", {}, r"has no 'tyni'; it offers Tiny, fails, leaves, text, tiny$"),
        ("tiny", {"classes": 3}, r"tiny\(classes=3\) failed: .*signature is tiny\(num_classes=2\)"),
        ("text", {}, r"text\(\) returned a str; expected .* torch.nn.Module"),
        ("fails", {}, r"fails\(\) failed with KeyError: 'depth'; check"),
        ("leaves", {}, r"failed with SystemExit"),
        ("number", {}, r"number is a int; expected a function or a class"),
        ("", {}, r"must be 'file.py:callable'.*which offers Tiny"),
    ],
)
def test_callable_that_does_not_do(
    archs: Path, name: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(UndoorError, match=message):
        build(f"{archs}:{name}", arguments, archs.parent)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("missing.py:net", r"file missing.py does not exist"),
        ("no_such_module_anywhere:net", r"no module 'no_such_module_anywhere' to import; install"),
        ("resnet20", r"no module 'resnet20'"),
        (":", r"must be 'file.py:callable' or 'package.module:callable', got ''"),
    ],
)
def test_source_that_is_missing(tmp_path: Path, architecture: str, message: str) -> None:
    with pytest.raises(UndoorError, match=message):
        build(architecture, {}, tmp_path)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def net(:", "SyntaxError"),
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("import sys; sys.exit(0)", "SystemExit"),
    ],
)
def test_module_that_fails(tmp_path: Path, code: str, message: str) -> None:
    (tmp_path / "broken.py").write_text(code)
    with pytest.raises(UndoorError, match=message):
        build(f"{tmp_path / 'broken.py'}:net", {}, tmp_path)
