"""What `import undoor` gives, and what it does not load."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
from made_repairs import make_repair
from tiny import random_classifier

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


def test_modules_are_attributes() -> None:
    """Whatever was imported before: nothing, here."""
    names = ("journal", "clean_set", "render", "repairs", "bench")
    shown = ", ".join(f"undoor.{name}.__name__" for name in names)
    code = f"import sys, undoor; print({shown}, undoor.__getattr__('scan').__name__)"
    assert run(code).split() == [*(f"undoor.{name}" for name in names), "scan"]


def public_functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """The functions and methods that the reference shows, and what they take."""
    places = [(name, getattr(undoor, name)) for name in undoor.__all__]
    places += [
        (f"repairs.{name}", getattr(undoor.repairs, name))
        for name in ("combine", "listed", "remove")
    ]
    for name, value in places:
        if not isinstance(value, type):
            yield name, value
            continue
        for method, found in inspect.getmembers(value):
            if (
                not method.startswith("_")
                and inspect.isroutine(found)
                and hasattr(found, "__code__")
            ):
                yield f"{name}.{method}", found


def test_paths_may_be_text() -> None:
    """All that takes a path takes a string that is one."""
    taking = {
        f"{name}({parameter.name})": str(parameter.annotation)
        for name, function in public_functions()
        for parameter in inspect.signature(function).parameters.values()
        if re.search(r"\bPath\b", str(parameter.annotation))
    }
    assert len(taking) >= 10
    assert not [name for name, kind in taking.items() if not re.search(r"\bstr\b", kind)], taking


def test_text_paths_work(tmp_path: Path) -> None:
    folder = str(tmp_path / "fix")
    model = random_classifier("conv_norm")
    made = make_repair(model, (1,))
    made.save(folder)
    made.save(f"{folder}.safetensors")
    assert undoor.Repair.load(folder, model).sha256() == made.sha256()
    assert [item.problem for item in undoor.repairs.listed([folder])] == [None]
    assert [item.problem for item in undoor.repairs.listed(folder)] == [None]
    made.targets[0].trigger.save(f"{folder}/again.npz")
    assert (tmp_path / "fix" / "again.npz").is_file()
    with pytest.raises(undoor.UndoorError, match="no such file"):
        undoor.Repair.load(f"{folder}/nowhere")
    with pytest.raises(undoor.UndoorError, match="expected the --out folder of `undoor scan`"):
        undoor.ScanReport.load(folder, shape=(3, 6, 6), bounds=(0, 1))
    assert undoor.journal.Journal(f"{folder}/steps").empty


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
from undoor.inversion.images import find_sources
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
