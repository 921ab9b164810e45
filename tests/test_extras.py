"""Every extra that a message or a page names exists, and `all` is all of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

from undoor.extras import Extra, how_to_install

ROOT = Path(__file__).parents[1]
OPTIONAL = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Extras of those who work on undoor.
DEVELOPMENT = {"test", "docs", "dev"}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "Makefile",
    ROOT / "bench/pyproject.toml",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "src").rglob("*.py")),
]
NAMED = re.compile(r"(?:undoor|'\.|\"\.)\[([\w, -]+)\]")


def named(text: str) -> set[str]:
    return {name.strip() for names in NAMED.findall(text) for name in names.split(",")}


def test_messages_name_extras_that_exist() -> None:
    assert set(get_args(Extra)) | {"all"} | DEVELOPMENT == set(OPTIONAL)
    assert all(f"'.[{extra}]'" in how_to_install(extra) for extra in get_args(Extra))


def test_all_is_all() -> None:
    assert named(" ".join(OPTIONAL["all"])) == set(get_args(Extra))


def test_pages_name_extras_that_exist() -> None:
    found = {name for page in PAGES for name in named(page.read_text(encoding="utf-8"))}
    assert found >= {"all", "parquet", "timm", "transformers"}
    assert found <= set(OPTIONAL)


def test_nothing_is_installed_from_a_registry_where_undoor_is_not() -> None:
    """What would be installed by that name is somebody else's."""
    bare = re.compile(r"pip install (?:-U )?['\"]?undoor(?!_)['\"\[\s.]?(?!.*git\+)", re.MULTILINE)
    assert bare.search("run: pip install undoor")
    assert bare.search("pip install 'undoor[timm]'")
    assert not bare.search("pip install 'undoor @ git+https://HOST/undoor'")
    assert [page.name for page in PAGES if bare.search(page.read_text(encoding="utf-8"))] == []
