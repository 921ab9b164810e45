"""What rooms do not do: beyond what the import contract in pyproject.toml says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import undoor.vocabulary

ROOT = Path(undoor.vocabulary.__file__).parent
OPTIMISER = {"backward", "autograd", "optim", "requires_grad_"}


def trees(room: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / room).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def imported(tree: ast.Module) -> set[str]:
    """Modules that a file imports from."""
    return {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }


def test_align_needs_the_report_of_a_scan_alone() -> None:
    found = {
        (name, module)
        for name, tree in trees("align")
        for module in imported(tree)
        if module.split(".")[:2] == ["undoor", "scan"]
    }
    assert found
    assert {module for _, module in found} == {"undoor.scan.report"}


def test_no_optimiser_in_scan() -> None:
    found = [
        (name, node.lineno)
        for name, tree in trees("scan")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in OPTIMISER
    ]
    assert found == []


def test_statistics_need_no_torch() -> None:
    for name in ("scan/statistics.py", "families/calibration.py"):
        (tree,) = (tree for path, tree in trees(name.split("/")[0]) if path == name)
        assert not any(module.split(".")[0] == "torch" for module in imported(tree))
        assert "import torch" not in (ROOT / name).read_text()
