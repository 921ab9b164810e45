"""Entry points as an installed package declares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import undoor.families.registry
import undoor.spaces.registry
import undoor.tasks.registry
from undoor.extensions import extensions

Declare = Callable[[Mapping[str, Mapping[str, str]]], None]


def forget() -> None:
    """What is installed is looked up again."""
    extensions.cache_clear()
    for room in (undoor.families, undoor.spaces, undoor.tasks):
        room.registry._by_name.cache_clear()


def declare(
    groups: Mapping[str, Mapping[str, str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a package toy 1.0 be installed in `folder`, which has these entry points by group.

    Whoever calls this calls `forget` when the path is as it was.
    """
    info = folder / "toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), "")
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(folder))
    forget()
