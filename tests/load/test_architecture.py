"""Importing a network's code, and what is said where that fails."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from undoor.errors import UndoorError
from undoor.load import architecture
from undoor.load.torchvision_import import torchvision_importable


def build(given: object, arguments: dict[str, object], folder: Path, **more: bool) -> nn.Module:
    return architecture.build(given, arguments, folder, **more).network  # type: ignore[arg-type]


CODE = """
import functools, sys
from subprocess import getoutput
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
partly = functools.partial(Tiny, 3)
class Text(str): pass
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
    weight = network.get_parameter("fc.weight")
    assert all(torch.equal(c.get_parameter("fc.weight"), weight) for c in copies)


def test_package_of_the_folder(tmp_path: Path) -> None:
    package = tmp_path / "undoor_test_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("from torch import nn\nclass Tiny(nn.Linear): pass\n")
    arguments: dict[str, object] = {"in_features": 3, "out_features": 2}
    network = build("undoor_test_package.nets:Tiny", arguments, tmp_path, by_file=True)
    assert type(network).__name__ == "Tiny"
    # Named by the user, a package is one that is installed.
    for folder in (tmp_path, tmp_path.parent):
        with pytest.raises(UndoorError, match=r"no module .* name the file: path/to/file.py"):
            build("undoor_test_package.nets:Tiny", arguments, folder)


def test_the_working_directory_is_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "undoor_test_here.py").write_text("from torch.nn import Linear\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    with pytest.raises(UndoorError, match="no module 'undoor_test_here'"):
        build("undoor_test_here:Linear", {"in_features": 3, "out_features": 2}, tmp_path / "other")


def test_what_is_installed_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's architecture nor a neighbour's import gets a file beside the weights."""
    site = tmp_path / "lib" / "site-packages"
    package = site / "undoor_test_installed"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("from torch.nn import Linear\n")
    (tmp_path / "undoor_test_installed.py").write_text("raise ValueError('of the folder')\n")
    (tmp_path / "net.py").write_text(
        "import undoor_test_installed.nets as nets, json\nNet = nets.Linear\njson.loads('{}')\n"
    )
    (tmp_path / "json.py").write_text("raise ValueError('of the folder')\n")
    monkeypatch.chdir(tmp_path)
    # As `python -c` has it, in front of all that is installed.
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path, str(site)])
    arguments: dict[str, object] = {"in_features": 3, "out_features": 2}
    for given in ("undoor_test_installed.nets:Linear", "net.py:Net"):
        for name in [name for name in sys.modules if name.startswith("undoor_test_installed")]:
            del sys.modules[name]
        assert isinstance(build(given, arguments, tmp_path), nn.Linear)


def test_code_that_ran_is_recorded(archs: Path) -> None:
    built = architecture.build(f"{archs}:tiny", {}, archs.parent)
    assert [Path(file.path).name for file in built.files] == ["archs.py", "neighbour_of_archs.py"]
    assert built.files[0].sha256 == hashlib.sha256(archs.read_bytes()).hexdigest()


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
        ("number", {}, r"number of .* is a int; expected a subclass of torch.nn.Module"),
        ("sys", {}, r"sys of .* is a module; expected a subclass"),
        ("getoutput", {"cmd": "touch canary"}, r"a function of the module subprocess; expected"),
        ("partly", {}, r"partly of .* is a partial; expected a subclass"),
        ("Text", {}, r"Text of .* is a class; expected a subclass"),
        ("Tiny.forward", {}, r"'Tiny.forward' is no name of a function or class"),
        ("", {}, r"must be 'file.py:callable'.*which offers Text, Tiny, fails"),
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
        (
            "no_such_module_anywhere:net",
            r"no module 'no_such_module_anywhere' to import .*; install",
        ),
        ("resnet20", r"no module 'resnet20'"),
        ("os:system", "belongs to Python itself"),
        ("builtins:exec", "belongs to Python itself"),
        ("runpy:run_path", "belongs to Python itself"),
        ("__main__:x", "belongs to Python itself"),
        (f"{os.__file__}:popen", "belongs to Python itself"),
        ("/usr/lib/python3.12/subprocess.py:run", "belongs to Python itself"),
        ("torch.hub:load", r"load of torch.hub is a function; expected a subclass"),
        ("torch:save", r"save of torch is a function; expected a subclass"),
        ("torch.nn:functional", r"functional of torch.nn is a module"),
        ("undoor.load.check:load", "undoor.load.check has no 'load'"),
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


def test_torchvision_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A default of torchvision's fcn_resnet50 are the weights of its backbone."""
    with torchvision_importable():
        segmentation = pytest.importorskip("torchvision.models.segmentation")
    fetched: list[object] = []
    kind = sys.modules["torchvision.models._api"].WeightsEnum

    def fetch(self: object, **_: object) -> dict[str, object]:
        fetched.append(self)
        return {}

    monkeypatch.setattr(kind, "get_state_dict", fetch)
    given: list[object] = []

    def small(**more: object) -> nn.Module:
        given.append(more)
        return nn.Linear(2, 2)

    monkeypatch.setattr(segmentation.fcn, "resnet50", small)
    monkeypatch.setattr(segmentation.fcn, "_fcn_resnet", lambda backbone, *_: backbone)
    network = build("torchvision.models.segmentation:fcn_resnet50", {"pretrained": False}, tmp_path)
    assert isinstance(network, nn.Linear)
    assert given[0]["weights"] is None  # type: ignore[index]
    monkeypatch.undo()
    monkeypatch.setattr(kind, "get_state_dict", fetch)
    with pytest.raises(UndoorError, match="would download weights"):
        build("torchvision.models:get_model", {"name": "fcn_resnet50"}, tmp_path)
    assert not fetched
    assert kind.get_state_dict(1) == {}
