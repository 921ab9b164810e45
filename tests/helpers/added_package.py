"""Entry points of a package that is installed for one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from undoor.align.fit import fits
from undoor.extensions import extensions
from undoor.render.reports import reports


class Package:
    """A package in a folder of its own, on the path until the test ends."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.syspath_prepend(str(folder))
        forget()

    def declares(self, group: str, **points: str) -> None:
        info = self.folder / "added-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: added\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        forget()


def forget() -> None:
    """Look for entry points anew."""
    for cached in (extensions, fits, reports):
        cached.cache_clear()
