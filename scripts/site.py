"""Pages of the documentation that are made from what stands elsewhere: a hook of MkDocs.

The README is the first page; the results of the benchmarks, their history, the rules for
contributors and the security policy are pages too, and the reference of the commands is what
`--help` says.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)")
PAGES = {
    "README.md": "index.md",
    "bench/results/README.md": "results.md",
    "bench/results/history.md": "history.md",
    "bench/README.md": "benchmark.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are no files of the documentation."""
    from mkdocs.structure.files import File

    made = {page: _relinked(ROOT / source) for source, page in PAGES.items()}
    for name, text in {**made, "commands.md": _commands()}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let pages that point out of the documentation find the pages made of that."""
    return markdown if page.file.src_uri in PAGES.values() else _linked(markdown, ROOT / "docs")


def _relinked(file: Path) -> str:
    return _linked(file.read_text(encoding="utf-8"), file.parent)


def _linked(text: str, folder: Path) -> str:
    """Links to files as links between pages; what is on no page stays as text."""

    def link(match: re.Match[str]) -> str:
        label, target = match.groups()
        path, _, anchor = target.partition("#")
        whole = Path(os.path.normpath(folder / path))
        inside = whole.relative_to(ROOT).as_posix() if whole.is_relative_to(ROOT) else ""
        page = PAGES.get(inside)
        if inside.startswith("docs/") and whole.is_file():
            page = inside.removeprefix("docs/")
        return f"[{label}]({page}{'#' if anchor else ''}{anchor})" if page else label

    return LINK.sub(link, text)


def _commands() -> str:
    """What every command of both programs says of itself, commands of a group behind it."""
    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    import typer
    from typer.testing import CliRunner

    from undoor.cli import app
    from undoor_bench.cli import app as bench

    def texts(app: typer.Typer, command: Any, words: list[str]) -> list[str]:
        program, *inner = words
        shown = CliRunner().invoke(app, [*inner, "--help"], prog_name=program).output.rstrip()
        own = [f"## {' '.join(words)}\n\n```text\n{shown}\n```\n"]
        below = getattr(command, "commands", {})
        return [
            *own,
            *(t for name, each in below.items() for t in texts(app, each, [*words, name])),
        ]

    pages = (
        text
        for name, program in (("undoor", app), ("undoor-bench", bench))
        for text in texts(program, typer.main.get_command(program), [name])
    )
    return "# Commands\n\n" + "\n".join(pages)
