"""What inputs are called: images in reports on images alone."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from helpers.cli_fakes import FakeRepair, make_report
from helpers.every_reason import EVERY_REASON
from helpers.render_work import SUBJECT, VERDICTS
from undoor.cli.show import show_scan
from undoor.noun import INPUT
from undoor.render import notebook
from undoor.render.coverage import GAPS
from undoor.render.nouns import noun_of
from undoor.render.reports import REPORTS
from undoor.render.results import Results
from undoor.scan.coverage import Gap
from undoor.scan.report import ScanReport
from undoor.spaces.registry import REGISTRY
from undoor.spaces.space import Space
from undoor.vocabulary import IMAGES, OTHER_SIZE, Verdict

OTHERS = [space for space in REGISTRY if space.name != IMAGES]
# Names of keys and codes in files that other programs read, and of HTML.
KEYS = re.compile(
    r"\"images\"|undoor:images|<img[^>]*>|image/png|img-src|image-rendering|\"code\": \"[^\"]*\""
)


def report_of(space: Space, verdict: Verdict) -> ScanReport:
    report = make_report(verdict)
    gaps = [
        Gap(code, ("patch",), (3.0, 4.0), (1, 2, 3, 4) if code == OTHER_SIZE else (5,))
        for code in GAPS
    ]
    covered = replace(report.coverage, space=space.name, gaps=tuple(gaps), decisive=True)
    return replace(report, coverage=covered, reasons=EVERY_REASON)


@pytest.mark.parametrize("space", OTHERS, ids=repr)
@pytest.mark.parametrize("verdict", VERDICTS)
def test_reports_on_other_inputs_say_nothing_of_images(space: Space, verdict: Verdict) -> None:
    report = report_of(space, verdict)
    console = Console(record=True, width=200, file=io.StringIO())
    show_scan(console, report)
    pages = {
        name: each.render(Results(report, SUBJECT, FakeRepair()))  # type: ignore[arg-type]
        for name, each in REPORTS.items()
    }
    pages |= {"terminal": console.export_text(), "notebook": notebook.html(report)}
    for name, page in pages.items():
        assert not re.findall(r".{0,60}\bimages?\b.{0,20}", KEYS.sub("", page)), name
    assert f"clean {space.noun.many}" in pages["html"]
    assert f"clean {space.noun.many}" in pages["terminal"]


def test_reports_on_images_say_so() -> None:
    page = REPORTS["html"].render(Results(make_report(), SUBJECT))
    assert "clean images" in page


def test_the_inputs_of_an_unknown_space_are_inputs() -> None:
    report = make_report()
    for name in (None, "a space of a package that is gone"):
        assert noun_of(replace(report, coverage=replace(report.coverage, space=name))) is INPUT


@pytest.mark.parametrize(
    ("name", "found", "expected", "says"),
    [
        ("signals", (1, 500), (4096, 4096, 1, 1), "4096 samples with 1 channel"),
        ("rows", (20,), (0, 0, 9, 14), "rows of 9 to 14 columns"),
        ("tokens", (48,), (0, 0, 24, 32), "texts of 24 to 32 tokens"),
    ],
)
def test_sizes_in_the_units_of_the_space(
    name: str, found: tuple[float, ...], expected: tuple[float, ...], says: str
) -> None:
    from undoor.render.coverage import gap_sentence
    from undoor.spaces.registry import space_named

    gap = Gap(OTHER_SIZE, (), found, expected)
    assert says in gap_sentence(gap, make_report().coverage, space_named(name).noun)
