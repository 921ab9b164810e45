"""What `import undoor` gives, and what it does not load."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import undoor
from helpers.made_repairs import make_repair
from helpers.tiny import random_classifier

VERBS = ["adapt", "calibrate", "evaluate", "export", "guard", "inspect", "load", "repair", "scan"]


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", undoor.__all__)
def test_every_name_resolves(name: str) -> None:
    value = getattr(undoor, name)
    whole = f"undoor.{name}" if name in VERBS else name
    # Of the words that a verdict may be, none is called so.
    assert getattr(value, "__name__", whole) == ("Literal" if name == "Verdict" else whole)


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
    assert undoor.journal.Journal(f"{folder}/steps").empty  # type: ignore[arg-type]


def test_import_is_light() -> None:
    heavy = "torch", "numpy", "scipy", "matplotlib", "PIL"
    code = f"import sys, undoor; print([name for name in {heavy} if name in sys.modules])"
    assert run(code) == "[]"


# Nothing of undoor is loaded before each; torch stays, which takes seconds.
ALONE = """
import sys
for line in {lines}:
    for name in [name for name in sys.modules if name.partition(".")[0] == "undoor"]:
        del sys.modules[name]
    exec(line, {{}})
"""


def test_modules_are_there_after_importing_the_package_alone() -> None:
    """And a module inside a verb can be imported by another name."""
    names = ["journal.Journal", "repairs.combine", "render.reports", "scan.decide.decide"]
    lines = [f"import undoor; print(undoor.{name})" for name in names]
    lines.append("import undoor.scan.decide as d; print(d.__name__)")
    *found, other = run(ALONE.format(lines=lines)).splitlines()
    assert len(found) == len(names)
    assert "object at" not in "".join(found)
    assert other == "undoor.scan.decide"


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_its_module_and_its_function(name: str) -> None:
    verb = getattr(undoor, name)
    function = getattr(verb, name)
    assert inspect.signature(verb) == inspect.signature(function)
    assert pickle.loads(pickle.dumps(verb)) is verb
    with pytest.raises(TypeError, match=rf"{name}\(\)"):
        verb(nothing_like_this=1)
    assert verb is sys.modules[f"undoor.{name}"]


def test_all_public_names_are_listed_and_no_others() -> None:
    listed = [name for name in dir(undoor) if not name.startswith("_")]
    assert listed == sorted(undoor.__all__)
    assert all(getattr(undoor, name) is not None for name in listed)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(undoor, "np")
    modules: tuple[Any, ...] = (undoor, undoor.scan, undoor.journal)
    for missing in modules:
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            missing.nothing  # noqa: B018


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from undoor import *", names)
    assert names.keys() - {"__builtins__"} == set(undoor.__all__)


def test_typed() -> None:
    assert (Path(undoor.__file__).parent / "py.typed").is_file()
