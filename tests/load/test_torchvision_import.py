"""A torchvision that does not belong to this torch keeps nothing from importing."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from undoor.load import torchvision_import
from undoor.load.torchvision_import import torchvision_importable

# As its wheels fail where their native operators cannot be loaded.
WITHOUT_OPERATORS = """
import torch
if not hasattr(torch.ops.{name}, "nms"):
    raise RuntimeError("operator torchvision::nms does not exist")
"""


@pytest.fixture
def vision(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name under which a module with this source stands for torchvision."""
    name = f"vision_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(request.param.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torchvision_import, "NAME", name)
    monkeypatch.setattr(torchvision_import, "_LIBRARIES", [])
    torchvision_import._imports.cache_clear()
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, name)
    return name


@pytest.fixture(autouse=True)
def forget() -> object:
    yield
    torchvision_import._imports.cache_clear()


@pytest.mark.parametrize("vision", [WITHOUT_OPERATORS], indirect=True)
def test_operators_are_declared(vision: str) -> None:
    with torchvision_importable():
        module = importlib.import_module(vision)
        assert hasattr(getattr(torch.ops, vision), "nms")
    assert sys.modules[vision] is module


@pytest.mark.parametrize("vision", ["raise ImportError('undefined symbol')"], indirect=True)
def test_any_other_seems_not_to_be_there(vision: str) -> None:
    with torchvision_importable():
        assert importlib.util.find_spec(vision) is None
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(vision)
    assert vision not in sys.modules
    with pytest.raises(ImportError, match="undefined symbol"):
        importlib.import_module(vision)


@pytest.mark.parametrize("vision", ["A = 1", "raise ImportError('x')"], indirect=True)
def test_a_stand_in_is_taken_away_again(vision: str) -> None:
    with torchvision_importable(stand_in=True):
        assert importlib.import_module(f"{vision}.ops").roi_align is None
    assert not {vision, f"{vision}.ops"} & sys.modules.keys()


@pytest.mark.parametrize("vision", ["A = 1"], indirect=True)
def test_one_that_works_is_left_alone(vision: str) -> None:
    given = importlib.import_module(vision)
    for stand_in in (True, False):
        with torchvision_importable(stand_in=stand_in):
            assert importlib.import_module(vision) is given
    assert sys.modules[vision] is given
