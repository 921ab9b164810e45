"""What the documentation shows works: its Python runs, its commands and options exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from undoor.cli import app
from undoor_bench.cli import app as bench

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BENCH = ROOT / "bench" / "README.md"
# What needs files around it runs in a test of its own.
ELSEWHERE = ("data.md", "deploy.md")
PROGRAMS = {"undoor": app, "undoor-bench": bench}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(file: Path, kind: str) -> list[str]:
    return [text for language, text in BLOCK.findall(file.read_text()) if language == kind]


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (page.name, code)
        for page in PAGES[1:]
        if page.name not in ELSEWHERE
        for code in blocks(page, "python")
    ],
)
def test_python_runs(page: str, code: str) -> None:
    exec(compile(code, page, "exec"), {})


def commands_of(page: Path) -> list[list[str]]:
    """The words of each command line of ours, lines that go on taken together."""
    shown = "\n".join([*blocks(page, "console"), *blocks(page, "yaml")]).replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ").removeprefix("run: ") for line in shown.splitlines()]
    return [
        shlex.split(line, comments=True) for line in lines if line.partition(" ")[0] in PROGRAMS
    ]


@pytest.mark.parametrize("page", [*PAGES, BENCH], ids=lambda page: page.parent.name + page.name)
def test_commands_and_options_exist(page: Path) -> None:
    for words in commands_of(page):
        command: Any = typer.main.get_command(PROGRAMS[words[0]])
        for word in words[1:]:
            if word in getattr(command, "commands", {}):
                command = command.commands[word]
        known = {option for parameter in command.params for option in parameter.opts}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= known | {"--help", "--version"}, words


def test_there_are_examples() -> None:
    assert sum(len(commands_of(page)) for page in PAGES) > 10
    assert len(commands_of(BENCH)) >= 2
    assert sum(len(blocks(page, "python")) for page in PAGES[1:]) >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_in_the_site(page: Path) -> None:
    nav = (ROOT / "mkdocs.yml").read_text()
    assert page.name == "README.md" or page.name in nav
