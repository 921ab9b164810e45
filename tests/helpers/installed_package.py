"""A package that is installed for one test, with the entry points that it declares."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

import undoor.families.registry
import undoor.spaces.registry
import undoor.tasks.registry
from undoor.align.fit import fits
from undoor.extensions import extensions
from undoor.render.reports import reports

DOCS = Path(__file__).parents[2] / "docs"


class Package:
    """Package toy 1.0 in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def declares(self, group: str, **points: str) -> None:
        """Let it have these entry points of one group, and no others."""
        self.declares_all({group: points})

    def declares_all(self, groups: Mapping[str, Mapping[str, str]]) -> None:
        """Let it have these entry points by group, and no others."""
        info = self.folder / "toy-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        lines = [
            line
            for group, points in groups.items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), "")
        ]
        (info / "entry_points.txt").write_text("\n".join(lines))
        forget()

    def has_example(self, page: str, module: str) -> str:
        """Let it have the one Python example of a page of the docs as a module; return its code."""
        (code,) = blocks(page, "python")
        (self.folder / f"{module}.py").write_text(code)
        return code

    def declares_example(self, page: str, module: str) -> None:
        """Let it have the example of a page, and the entry point that the page declares for it."""
        assert self.has_example(page, module).count("\n") <= 45
        (toml,) = blocks(page, "toml")
        ((group, name, value),) = re.findall(
            r'entry-points\."([\w.]+)"\]\n(\w+) = "my_package\.\w+:(\w+)"', toml
        )
        self.declares(group, **{name: f"{module}:{value}"})


@contextmanager
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Have a package on the path; it is gone afterwards."""
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(folder))
        forget()
        yield Package(folder)
    forget()


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page of the docs in one language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def forget() -> None:
    """Let what is installed be looked up again."""
    registries = (undoor.families.registry, undoor.spaces.registry, undoor.tasks.registry)
    for cached in (extensions, fits, reports, *(each._by_name for each in registries)):
        cached.cache_clear()
