"""What the pages say of the repository is so: rooms, commands of the README, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import undoor
from undoor.align.fit import FITS
from undoor.families.registry import REGISTRY
from undoor.render.reports import REPORTS
from undoor.vocabulary import POLICIES, RULES

ROOT = Path(__file__).parents[2]
PACKAGE = Path(undoor.__file__).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "bench" / "results").glob("*.md")),
]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
# Two and a half screens.
MAX_README_LINES = 125


def rooms() -> set[str]:
    packages = {path.parent.name + "/" for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    return packages | modules


def test_architecture_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text[text.index("## Rooms") : text.index("## The contract")]
    named = set(re.findall(r"`([\w/]+)`", table))
    assert len(rooms()) > 30
    assert rooms() - named == set()


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= MAX_README_LINES


def test_readme_names_the_command_that_is_run_before_a_merge() -> None:
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "$ make test " in README
    assert re.search(r"^make test$", run, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_glossary_has_the_names_of_things() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = {"site", "unit", "family", "null", "goal", "target", "source", "correction", "guard"}
    words |= {"threshold", "screen", "confirm"}
    named = {word for cell in re.findall(r"^\| \*\*(.+?)\*\*", text, re.M) for word in
             cell.split(", ")}  # fmt: skip
    assert words <= named
    assert all(f"`{name}`" in text for name in (*POLICIES, *RULES))
    assert all(f"`{name}`" in text for name in ("paired", "onepass", "paper", "reference"))
    assert {"paired", "onepass", "paper", "reference"} <= set(FITS)
    for family in REGISTRY:
        assert family.name.split()[0] in text


def test_formats_are_named_where_they_are_chosen() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert f"`--report {','.join(REPORTS)}`" in text
