"""Text of strangers in every format: no escapes, no markup, no links, no formulas."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from helpers.cli_fakes import make_report
from helpers.render_work import SUBJECT, fixed
from undoor.cli.output import save_table
from undoor.cli.show import show_scan
from undoor.cli.show_inspection import _show_files, _tensors
from undoor.render.csv_table import as_csv
from undoor.render.cyclonedx import cyclonedx
from undoor.render.junit import junit
from undoor.render.markdown import markdown as report
from undoor.render.model_card import model_card
from undoor.render.sanitise import csv_cell, line, markdown, sarif, shortened, xml
from undoor.render.sarif import sarif as sarif_log
from undoor.render.text import class_label
from undoor.scan.report import ScanReport

# What GitHub, GitLab and viewers of SARIF make links, mentions, references or pictures of.
LIVE = {
    "address": re.compile(r"(https?|ftp)://\w", re.I),
    "www": re.compile(r"(?<!\w)www\.\w", re.I),
    "mail": re.compile(r"[\w.+-]+@[\w-]+"),
    "mention": re.compile(r"(^|[^\w`/])@\w"),
    "reference": re.compile(r"(^|[^\w&])[#!~%^$]\w|\bGH-\d", re.I),
    "epic": re.compile(r"(^|\s)&\d"),
    "picture": re.compile(r":[a-z0-9_+-]+:"),
}
NAMES = (
    "see https://evil.example/x?a=1", "www.evil.example", "mail me@evil.example", "@torvalds",
    "#123", "org/repo#1", "GH-7", "!12", "~bug", "%1", "&4", "$5", ":bomb:", "&#64;torvalds",
    "[click](https://evil.example)", "![x](https://evil.example/p.png)", "<img src=x onerror=y>",
    "a|b", "`code`", "$\\alpha$", "\x1b]8;;https://evil.example\x07x", "a\nb",
)  # fmt: skip


def hostile(names: tuple[str, ...]) -> ScanReport:
    return make_report(names=(*names, "a", "b", "c")[:3], reasons=names[:3])


def html(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def test_the_names_are_live_by_themselves() -> None:
    found = {kind for kind, pattern in LIVE.items() for name in NAMES if pattern.search(name)}
    assert found == set(LIVE)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_markdown_is_live(name: str) -> None:
    page = html(markdown(f"class {name} here"))
    shown = page.removeprefix("<p>").removesuffix("</p>\n")
    assert not re.search(r"<(?!/?p>)\w", shown)
    text = re.sub(
        r"&(amp|lt|gt|quot);", lambda m: {"amp": "&", "lt": "<", "gt": ">"}.get(m[1], '"'), shown
    )
    assert {kind for kind, pattern in LIVE.items() if pattern.search(text)} == set()
    # Apart from what nobody sees, the reader sees the name.
    assert text.replace("\u200b", "") == f"class {line(name)} here"


@pytest.mark.parametrize("text", ["1. a", "- a", "+ a", "= a", "# a", "> a", "12) a", "* a", "---"])
def test_nothing_begins_a_list(text: str) -> None:
    assert html(markdown(text)).replace("\u200b", "") == f"<p>{text.replace('>', '&gt;')}</p>\n"


@pytest.mark.parametrize("start", range(0, len(NAMES), 3))
def test_reports_in_markdown(start: int) -> None:
    subject = replace(SUBJECT, model=NAMES[start], data=NAMES[start])
    for written in (
        report(hostile(NAMES[start : start + 3]), subject, fixed()),
        model_card(hostile(NAMES[start : start + 3]), subject, fixed()).split("---\n", 2)[2],
    ):
        page = html(written)
        assert not re.search(r"<(a|img|x|script)\b", page)
        text = re.sub(r"<[^>]*>", " ", page).replace("&lt;", "<").replace("&amp;", "&")
        found = {kind for kind, pattern in LIVE.items() if pattern.search(text)}
        assert found == set()
        assert page.count("<td>") == 7


@given(st.text())
def test_lines_are_printable(text: str) -> None:
    shown = line(text)
    assert shown.isprintable()
    assert not re.search(r"##\w*\[|^::", shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb\x9b0m", "a\\x1b[31mb\\x9b0m"),
        ("txt.\u202egnp", "txt.\\u202egnp"),
        ("a\u2066b\u200bc\ufeff", "a\\u2066b\\u200bc\\ufeff"),
        ("\u3164\u2800\U000e0041", "\\u3164\\u2800\\U000e0041"),
        ("::set-output name=x::y", "\\::set-output name=x::y"),
        (" ##vso[task.complete]", "#\\#vso[task.complete]"),
        ("##teamcity[x] ##[error]", "#\\#teamcity[x] #\\#[error]"),
        ("e\u0301" + "a" + "\u0300" * 6, "e\u0301a" + "\u0300" * 4 + "\\u0300" * 2),
        ("Straße – 日本語 🍎", "Straße – 日本語 🍎"),
    ],
)
def test_lines(text: str, shown: str) -> None:
    assert line(text) == shown


def test_long_names() -> None:
    assert shortened("a" * 10, 10) == "a" * 10
    assert shortened("a" * 11, 10) == "a" * 9 + "…"
    assert len(class_label(0, ["n" * 10_000, "b"])) < 130


def test_sarif_has_neither_links_nor_places() -> None:
    names = ("{0} [click](https://evil.example)", "{1}", "[2](1)")
    for subject in (SUBJECT, replace(SUBJECT, model="//evil.example/m.pt")):
        log = sarif_log(hostile(names), subject, fixed())
        assert '"uri": "//' not in log
        assert "{0}" not in log.replace("{{0}}", "")
        assert not re.search(r"(?<!\\\\)\[[^\]]*\]\(", log)
        assert "https://evil" not in log
    assert sarif("a{b}c") == "a{{b}}c"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"]
)
def test_sheets_hold_no_formulas(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.csv"
    save_table(file, [{"image": text, "score": -0.5, "flagged": True, "none": None}])
    for written in (file.read_text(), as_csv([{"image": text, "score": -0.5}])):
        (row,) = csv.DictReader(io.StringIO(written))
        assert row["image"].startswith("'")
        assert row["score"] == "-0.5"


def test_sheets_keep_what_is_harmless() -> None:
    for value in ("a.png", "-0.5", "+1e-3", "a=b", "1-2", "", 3, None, True, -2.5):
        assert csv_cell(value) == value
    assert csv_cell("a\n\x1b[31m") == "a \\x1b[31m"


def test_xml() -> None:
    assert xml("a\x00\nb") == "a\ufffd\nb"
    assert xml("[[ATTACHMENT|/etc/passwd]]") == "[ [ATTACHMENT|/etc/passwd]]"
    root = ElementTree.fromstring(junit(hostile(("[[ATTACHMENT|/x]]", "\x1b", "]]>")), SUBJECT))
    assert "[[ATTACHMENT" not in "".join(root.itertext())


def test_a_bill_has_no_escapes() -> None:
    bill = cyclonedx(hostile(("\x1b[31m", "\u202e", "a")), SUBJECT)
    assert "\\u001b" not in bill
    assert "\\u202e" not in bill.replace("\\\\u202e", "")


MARKUP = "[link=https://evil.example]x[/link][/b] [red]"


def test_terminals_show_markup_as_it_is() -> None:
    file = SimpleNamespace(path=MARKUP, format=MARKUP, size=1, sha256="0", safe=True, runs=False)
    facts = SimpleNamespace(tensors={MARKUP: (1, 2)}, parameters=2, classes=None, channels=None)
    console = Console(file=io.StringIO(), width=300, force_terminal=True)
    _show_files(console, (file,))  # type: ignore[arg-type]
    console.print(_tensors(facts))  # type: ignore[arg-type]
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert told.count(MARKUP) == 4
    assert "\x1b]8" not in told


def test_terminals_get_no_escapes_from_scans() -> None:
    console = Console(file=io.StringIO(), width=300)
    show_scan(console, hostile(("\x1b[31mred", MARKUP, "\u202eb")))
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "\\x1b[31mred" in told
