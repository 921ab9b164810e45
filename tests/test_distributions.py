"""Two distributions of one repository: undoor holds no benchmark and needs none."""

from __future__ import annotations

import ast
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "undoor"
# Bundled models and inputs of four spaces take a megabyte each, at most.
LARGEST_WHEEL = 5_000_000


def project(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name / "pyproject.toml").read_text(encoding="utf-8"))


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, inside of functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_nothing_in_undoor_imports_the_benchmark_or_the_tests() -> None:
    files = list(SOURCES.rglob("*.py"))
    assert len(files) > 200
    others = ("undoor_bench", "helpers", "bench_helpers")
    found = [
        (str(file.relative_to(ROOT)), name)
        for file in files
        for name in imported(file)
        if name.partition(".")[0] in others
    ]
    assert found == []


@pytest.mark.parametrize("removed", ["bench", "attacks", "cli/bench"])
def test_no_benchmark_among_the_sources(removed: str) -> None:
    assert not list((SOURCES / removed).rglob("*.py"))


def test_what_goes_into_the_wheels() -> None:
    """The packages alone; hatchling adds nothing else unless it is told to."""
    for name, package in ((".", "src/undoor"), ("bench", "src/undoor_bench")):
        build = project(name)["tool"]["hatch"]["build"]
        assert build["targets"]["wheel"] == {"packages": [package]}
        assert build.keys() == {"targets"}
        assert (ROOT / name / package / "py.typed").is_file()


def test_the_wheel_is_small() -> None:
    files = [
        file for file in SOURCES.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]
    assert sum(len(zlib.compress(file.read_bytes())) for file in files) < LARGEST_WHEEL


def test_one_version_of_both() -> None:
    undoor, bench = (project(name)["project"] for name in (".", "bench"))
    assert bench["version"] == undoor["version"]
    assert f"undoor=={undoor['version']}" in bench["dependencies"]


def test_undoor_asks_for_nothing_of_the_benchmark() -> None:
    told = project(".")["project"]
    lists = [told["dependencies"], *told["optional-dependencies"].values()]
    asked = [item for one in lists for item in one]
    assert not [item for item in asked if "undoor-bench" in item or "atheris" in item]
    assert set(told["scripts"]) == {"undoor"}
