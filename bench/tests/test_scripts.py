"""The scripts of the benchmark name what is there; most take hours to run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "scripts").glob("*.py"))
OURS = {"undoor", "undoor_bench", "helpers"}


def is_there(module: ModuleType, name: str) -> bool:
    """Whether a module has a value, or a module, of this name."""
    if hasattr(module, name):
        return True
    try:
        import_module(f"{module.__name__}.{name}")
    except ModuleNotFoundError:
        return False
    return True


def imports(script: Path) -> Iterator[tuple[str, list[str]]]:
    """The modules of ours that a script imports, and what of them."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [(alias.name, list[str]()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [(node.module or "", [alias.name for alias in node.names])]
        else:
            continue
        yield from (each for each in found if each[0].partition(".")[0] in OURS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_what_a_script_imports_is_there(script: Path) -> None:
    for module, names in imports(script):
        missing = [name for name in names if not is_there(import_module(module), name)]
        assert missing == [], module


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 10
    assert sum(len(list(imports(script))) for script in SCRIPTS) >= 30
