"""The summary in Markdown."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from helpers.cli_fakes import make_report
from helpers.render_work import SUBJECT, VERDICTS, fixed, hostile, hostile_subject
from undoor.render.markdown import markdown
from undoor.vocabulary import Verdict


def html(text: str) -> str:
    """As a browser would get it; raw HTML stays text, so that what slipped through shows."""
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdict_and_what_to_do(verdict: Verdict) -> None:
    page = html(markdown(make_report(verdict), SUBJECT))
    assert page.startswith("<h2>")
    assert page.count("<h2>") == 1
    assert "<ol>" in page
    assert ("<table>" in page) == (verdict == "backdoored")


def test_targets_and_repair() -> None:
    page = html(markdown(make_report(), SUBJECT, fixed()))
    for cell in ("1 yield", "all other classes", "patch, size 4", "97.0 %", "1.0 %", "90.0 %"):
        assert f"<td>{cell}</td>" in page


@pytest.mark.parametrize("verdict", VERDICTS)
def test_names_are_no_markup(verdict: Verdict) -> None:
    page = html(markdown(hostile(verdict), hostile_subject(), fixed()))
    for tag in ("<x>", "<h1>", "<a ", "<code>d"):
        assert tag not in page
    if verdict == "backdoored":
        assert page.count("<td>") == 7
