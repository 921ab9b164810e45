"""What `import undoor` gives, and what it does not load."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import undoor

VERBS = ["adapt", "evaluate", "export", "guard", "inspect", "load", "repair", "scan"]


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", undoor.__all__)
def test_every_name_resolves(name: str) -> None:
    value = getattr(undoor, name)
    assert not isinstance(value, ModuleType)
    assert value.__name__ == name


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'scam'"):
        undoor.scam  # noqa: B018
    assert not hasattr(undoor, "np")


def test_import_is_light() -> None:
    heavy = "torch", "numpy", "scipy", "matplotlib", "PIL"
    code = f"import sys, undoor; print([name for name in {heavy} if name in sys.modules])"
    assert run(code) == "[]"


@pytest.mark.parametrize("verb", VERBS)
def test_verb_wins_over_module(verb: str) -> None:
    module = import_module(f"undoor.{verb}")
    assert isinstance(module, ModuleType)
    assert isinstance(getattr(undoor, verb), FunctionType)
    assert getattr(undoor, verb) is getattr(module, verb)


def test_verbs_are_functions_whatever_came_first() -> None:
    code = f"""
import undoor.repair, undoor.guard, undoor.evaluate, undoor.load, undoor.scan.decide
from undoor.scan.images import find_sources
from types import FunctionType
print(all(isinstance(getattr(undoor, verb), FunctionType) for verb in {VERBS}))
"""
    assert run(code) == "True"


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from undoor import *", names)
    assert names.keys() - {"__builtins__"} == set(undoor.__all__)


def test_typed() -> None:
    assert (Path(undoor.__file__).parent / "py.typed").is_file()
