"""The report as a page: complete, self-contained, safe with names that strangers chose."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from cli_fakes import FakeEvaluation, FakeRepair, FakeTarget, make_report

from undoor.align.calibrate import Calibration
from undoor.align.inspect import UnitActivations
from undoor.clean_set import CleanSet
from undoor.rate import Rate
from undoor.render.html import Subject, html_report
from undoor.scan.report import Verdict

VOID = {"meta", "img", "br", "link", "input"}
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$\\frac{1}$ & co")


class Page(HTMLParser):
    """What a browser would see: elements, attributes, text; complains about unclosed tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def told(self) -> str:
        return " ".join(" ".join(self.text).split())


def clean_set() -> CleanSet:
    return CleanSet(torch.rand(12, 3, 4, 4), torch.arange(12) % 3)


def unit() -> UnitActivations:
    values = torch.linspace(0, 1, 50)
    return UnitActivations("entry", 2, values, values + 1, values + 0.1, 3.0)


def full_page(**options: Any) -> str:
    return html_report(
        make_report(**options),
        FakeRepair(),  # type: ignore[arg-type]
        FakeEvaluation(),  # type: ignore[arg-type]
        subject=Subject("model.toml", "clean/", "SignNet", 1234567, (3, 4, 4), (0.0, 1.0)),
        examples=clean_set(),
        units={1: (unit(),)},
    )


def test_everything_is_there() -> None:
    page = Page(full_page())
    told = page.told()
    for part in (
        "Backdoored",
        "because of the tests",
        "1,234,567 parameters",
        "Target 1 yield",
        "all other classes",
        "per position",
        "highest of the other classes",
        "fine (chosen)",
        "90.0 % [80.0 to 95.0]",
        "A clean verdict cannot be guaranteed",
        "The weights still hold the backdoor",
    ):
        assert part in told
    assert len(page.all("svg")) == 2
    assert len(page.all("img")) == 2


def test_calibration_of_the_guard() -> None:
    told = Page(full_page()).told()
    for part in (
        "Set on 30 clean images of this class; 0.0 % of them are flagged [0.0 to 11.6]",
        "Wanted false alarms 1 %; 30 images can promise 3.2 % at best",
        "30 clean images of 1 yield cannot promise less than 3.2 % (wanted: 1 %",
    ):
        assert part in told
    enough = Calibration(0.1, 0.05, Rate(0.0, 0.0, 0.116, 30))
    assert "cannot promise" not in repair_page(enough)
    none = repair_page(Calibration(0.0, 0.05, Rate(None, None, None, 0)))
    assert "no clean image of 1 yield is answered so" in none
    assert "Set on" not in none


def repair_page(calibration: Calibration) -> str:
    repair = FakeRepair(targets=(FakeTarget(calibration=calibration),))
    return Page(html_report(make_report(), repair)).told()  # type: ignore[arg-type]


def test_self_contained() -> None:
    page = Page(full_page())
    assert not {"script", "link", "iframe", "object", "foreignobject"} & {
        name for name, _ in page.elements
    }
    for name, attributes in page.elements:
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in ("src", "href", "xlink:href", "data", "action"):
                assert value.startswith(("data:image/png;base64,", "#")), (name, key, value)
    assert "url(http" not in full_page()
    assert "@import" not in full_page()


def test_pictures_are_described() -> None:
    page = Page(full_page())
    assert all(len(image["alt"]) > 20 for image in page.all("img"))
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 20 for svg in page.all("svg"))


@pytest.mark.filterwarnings("error")
def test_hostile_names() -> None:
    hostile = full_page(names=HOSTILE, reasons=HOSTILE)
    page = Page(hostile)
    assert "<script" not in hostile
    assert len(page.all("img")) == 2
    assert page.told().count("<script>alert(1)</script>") >= 1


def test_names_in_other_scripts() -> None:
    assert "停止" in full_page(names=("停止", "a\x1b[31mb\x00", "🛑"))


def test_svg_takes_the_ink_of_the_page() -> None:
    text = full_page()
    assert "currentColor" in text
    assert "#010203" not in text


def test_same_results_same_page() -> None:
    torch.manual_seed(0)
    first = full_page()
    torch.manual_seed(0)
    assert full_page() == first


@pytest.mark.parametrize("verdict", ["clean", "inconclusive"])
def test_without_findings(verdict: Verdict) -> None:
    page = Page(html_report(make_report(verdict), FakeRepair(targets=())))  # type: ignore[arg-type]
    assert "Suspected targets in red" in page.told()
    assert "Nothing was repaired" in page.told()
    assert page.all("img") == []


def test_scan_alone() -> None:
    told = Page(html_report(make_report())).told()
    assert "Repair" not in told
    assert "Before and after" not in told


def test_target_without_sites() -> None:
    repair = FakeRepair(targets=(FakeTarget(sites=(), trials=(), corrections={}),))
    assert "None" in Page(html_report(make_report(), repair)).told()  # type: ignore[arg-type]


def test_many_classes() -> None:
    names = tuple(f"class number {i}" for i in range(200))
    told = Page(html_report(make_report(names=names))).told()
    assert "1 class number 1" in told
