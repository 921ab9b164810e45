"""What `import undoor` gives: its names, its modules, and verbs that can be called."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import pytest

import undoor


def run(code: str) -> str:
    """What a new process prints, in which nothing has been imported yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "name", ["journal.Journal", "repairs.combine", "render.reports", "scan.decide.decide"]
)
def test_modules_are_there_after_importing_the_package_alone(name: str) -> None:
    assert "object at" not in run(f"import undoor; print(undoor.{name})")


def test_a_module_inside_a_verb_can_be_imported_by_another_name() -> None:
    assert run("import undoor.scan.decide as d; print(d.__name__)") == "undoor.scan.decide"


@pytest.mark.parametrize(
    "name", ["adapt", "evaluate", "export", "guard", "inspect", "load", "repair", "scan"]
)
def test_a_verb_is_its_module_and_its_function(name: str) -> None:
    verb = getattr(undoor, name)
    function = getattr(verb, name)
    assert verb is sys.modules[f"undoor.{name}"]
    assert inspect.signature(verb) == inspect.signature(function)
    assert pickle.loads(pickle.dumps(verb)) is verb
    with pytest.raises(TypeError, match=rf"{name}\(\)"):
        verb(nothing_like_this=1)


def test_all_public_names_are_listed_and_no_others() -> None:
    listed = [name for name in dir(undoor) if not name.startswith("_")]
    assert listed == sorted(undoor.__all__)
    assert all(getattr(undoor, name) is not None for name in listed)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    for missing in (undoor, undoor.scan, undoor.journal):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            missing.nothing  # noqa: B018
