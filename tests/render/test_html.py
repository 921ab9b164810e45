"""The report as a page: complete, self-contained, safe with names that strangers chose."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, get_args

import pytest
import torch

from helpers.cli_fakes import FakeEvaluation, FakeRepair, FakeTarget, make_report
from helpers.html_pages import Page
from undoor.align.guard_threshold import GuardThreshold
from undoor.align.unit_activations import UnitActivations
from undoor.clean_set import CleanSet
from undoor.files import as_json
from undoor.rate import Rate
from undoor.render.html import html_report
from undoor.render.subject import Subject
from undoor.scan.circumstances import Circumstances
from undoor.scan.coverage import FamilyCoverage, Gap
from undoor.triggers import Latent, Stamp
from undoor.vocabulary import NOT_FOR_SPACE, OTHER_SIZE, Verdict

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$\\frac{1}$ & co")


def clean_set() -> CleanSet:
    return CleanSet(torch.rand(12, 3, 4, 4), torch.arange(12) % 3)


def unit() -> UnitActivations:
    values = torch.linspace(0, 1, 50)
    return UnitActivations("entry", 2, values, values + 1, values + 0.1, 3.0)


@cache
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
        "alarm line",
        "fine (chosen)",
        "90.0 % [80.0 to 95.0]",
        "A trigger that a scan recovers is an estimate",
        "The weights still hold the backdoor",
    ):
        assert part in told
    assert len([svg for svg in page.all("svg") if svg.get("role") == "img"]) == 2
    assert len(page.all("img")) == 4


def test_first_screen_answers() -> None:
    told = Page(full_page().split("<body>")[1].split("</body>")[0]).told()
    for question, answer in {
        "Is there a backdoor in model.toml?": "Backdoored",
        "What does the trigger look like?": "From all other classes to class 1 yield.",
        "What to do next": "Serve the guarded pair",
        "How sure is that?": "fewer than 1 in a million models without a backdoor",
        "What was repaired?": "1 place in the network corrected",
        "What remains?": "The weights alone still hold the backdoor.",
    }.items():
        assert told.index(question) < told.index(answer) < told.index("The verdict in numbers")


def test_calibration_of_the_guard() -> None:
    told = Page(full_page()).told()
    for part in (
        "Set on 30 clean images of this class; 0.0 % of them are flagged [0.0 to 11.6]",
        "Wanted false alarms 1 %; 30 images can promise 3.2 % at best",
        "a false-positive rate below 3.2 % cannot be guaranteed (requested: 1 %",
    ):
        assert part in told
    enough = GuardThreshold(0.1, 0.05, Rate(0.0, 0.0, 0.116, 30))
    assert "cannot be guaranteed (requested" not in repair_page(enough)
    none = repair_page(GuardThreshold(0.0, 0.05, Rate(None, None, None, 0)))
    assert "no clean image of class 1 yield is predicted as it" in none
    assert "Set on" not in none


def repair_page(calibration: GuardThreshold) -> str:
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
    told = [svg for svg in page.all("svg") if svg.get("aria-hidden") != "true"]
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 20 for svg in told)
    assert len(told) == 2


@pytest.mark.filterwarnings("error")
def test_hostile_names() -> None:
    hostile = full_page(names=HOSTILE, reasons=HOSTILE)
    page = Page(hostile)
    assert "<script" not in hostile
    assert len(page.all("img")) == 4
    assert page.told().count("<script>alert(1)</script>") >= 1


def test_names_in_other_scripts() -> None:
    assert "停止" in full_page(names=("停止", "a\x1b[31mb\x00", "🛑"))


def test_svg_takes_the_ink_of_the_page() -> None:
    text = full_page()
    assert "currentColor" in text
    assert "#010203" not in text


def test_same_results_same_page() -> None:
    torch.manual_seed(0)
    first = full_page.__wrapped__()
    torch.manual_seed(0)
    assert full_page.__wrapped__() == first


@pytest.mark.parametrize("verdict", ["clean", "inconclusive"])
def test_without_findings(verdict: Verdict) -> None:
    page = Page(html_report(make_report(verdict), FakeRepair(targets=())))  # type: ignore[arg-type]
    assert "Suspected targets in red" not in page.told()
    assert "hold the backdoor" not in page.told()
    assert "no reason" not in page.told()
    assert "Nothing was repaired" in page.told()
    assert page.all("img") == []


def test_how_it_was_made() -> None:
    """Date, options, machine, data and hashes; of an older report, that they are not known."""
    made = Circumstances(
        alpha=0.005,
        max_passes=5000,
        max_seconds=60.0,
        accept_graph=True,
        accept_coverage="partial",
        undoor="9.9",
        torch="2.13",
        python="3.12",
        machine="x86_64, AVX2",
        arithmetic="float32",
        samples_sha256="ef" * 32,
        per_class=(4, 5, 3),
    )
    report = replace(
        make_report(),
        device="cuda (NVIDIA H200)",
        date="2026-01-31T12:00:00Z",
        circumstances=made,
    )
    subject = Subject("m.toml", "clean/", "Net", 1, (3, 4, 4), (0.0, 1.0), "ab" * 32)
    told = Page(html_report(report, FakeRepair(), subject=subject)).told()  # type: ignore[arg-type]
    scanned = hashlib.sha256(as_json(report.to_json()).encode()).hexdigest()
    for part in (
        "Date 2026-01-31T12:00:00Z",
        "Alpha 0.005",
        "Budget 5,000 sample passes, 60 s",
        "Accepted by the user the oddities of the network's graph (--accept-graph), partial",
        "Software undoor 9.9, torch 2.13, Python 3.12",
        "Device cuda (NVIDIA H200)",
        "Processor x86_64, AVX2",
        "Arithmetic float32",
        "Source clean/",
        "Per class 0 stop: 4, 1 yield: 5, 2 go: 3",
        f"SHA-256 of images and labels {'ef' * 32}",
        f"Model {'0' * 64}",
        f"Weight file {'ab' * 32}",
        f"Repair {'cd' * 32}",
        f"Scan report (scan.json) {scanned}",
        "p = 1e-09; reported at 0.005 and below",
        "at most alpha = 0.005",
    ):
        assert part in told, part
    older = Page(html_report(make_report())).told()
    assert "Date not known" in older
    assert "Budget not known" in older


def test_coverage_is_shown() -> None:
    report = make_report("inconclusive", reasons=("nothing stood out",))
    tone = FamilyCoverage("tone", False, NOT_FOR_SPACE)
    lacking = replace(
        report.coverage,
        families=(*report.coverage.families, tone),
        calibrated={**(report.coverage.calibrated or {}), "size": False},
        gaps=(Gap(OTHER_SIZE, (), (3, 224, 224), (28, 32, 1, 3)),),
        decisive=True,
    )
    told = Page(html_report(replace(report, coverage=lacking))).told()
    for part in (
        "the images are of 3 × 224 × 224",
        "--accept-coverage partial",
        "2 of 3 trigger families were searched",
        "tone no: not for inputs of this kind –",
        "patch yes below 5 pixels",
        "Size 3 × 4 × 4 no",
        "Classes 3 yes",
    ):
        assert part in told, part


def test_no_chart_where_nothing_was_found() -> None:
    made = make_report("clean")
    nothing = tuple(replace(item, size=None) for item in made.evidence)
    page = Page(html_report(replace(made, evidence=nothing)))
    assert [svg for svg in page.all("svg") if svg.get("role") == "img"] == []
    assert "alarm line" not in page.told()


def test_scan_alone() -> None:
    told = Page(html_report(make_report())).told()
    assert "Nothing yet: the model is as it was." in told
    assert "Close the backdoor with undoor repair" in told
    assert "Repair of target" not in told
    assert "Before and after" not in told


def test_margins_are_no_sizes() -> None:
    """Their score is e to the power of up to 100: no number of many digits, and no ratio."""
    report = make_report()
    found = replace(report.findings[0], score=1e40, margin=14.0)
    evidence = (replace(report.evidence[1], score=1e40, margin=14.0),)
    told = Page(html_report(replace(report, findings=(found,), evidence=evidence))).told()
    assert "the clearest one of a fixed size has 14.0 times the margin of clean images" in told
    assert "times smaller than for the other classes" not in told
    assert "1e+40" in told
    assert "0000000" not in told.replace("0" * 64, "")


def test_target_without_sites() -> None:
    repair = FakeRepair(targets=(FakeTarget(sites=(), trials=(), corrections={}),))
    assert "None" in Page(html_report(make_report(), repair)).told()  # type: ignore[arg-type]


def test_many_classes() -> None:
    names = tuple(f"class number {i}" for i in range(200))
    told = Page(html_report(make_report(names=names))).told()
    assert "1 class number 1" in told


@pytest.mark.parametrize("verdict", ["backdoored", "clean", "inconclusive"])
def test_landmarks_and_headings(verdict: Verdict) -> None:
    page = Page(html_report(make_report(verdict), examples=clean_set()))
    assert [len(page.all(tag)) for tag in ("main", "nav", "header", "footer", "h1")] == [1] * 5
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    linked = {link["href"][1:] for link in page.all("a")}
    labels = {section["aria-labelledby"] for section in page.all("section")}
    assert linked | labels <= set(ids)
    first = next(attributes for tag, attributes in page.elements if tag == "a")
    assert first["class"] == "skip"


def test_tables_have_captions_and_scopes() -> None:
    page = Page(full_page())
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(cell.get("scope") in ("row", "col") for cell in page.all("th"))


def test_nothing_may_be_loaded() -> None:
    policy = next(meta["content"] for meta in Page(full_page()).all("meta") if "http-equiv" in meta)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules


def test_contrast() -> None:
    """WCAG 2.2, criterion 1.4.3: 4.5 to 1 for text, on the page, in boxes and in each verdict's."""
    css = full_page().split("<style>")[1].split("</style>")[0]
    themes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{([^}]*)\}", css)
    ]
    assert len(themes) == 3  # light, dark, paper
    for theme in themes:
        for ground in ("paper", "box"):
            for ink in ("ink", "soft", "link"):
                assert contrast(theme[ink], theme[ground]) >= 4.5, (theme, ink, ground)
        for verdict in get_args(Verdict):
            for ink in (verdict, "ink", "soft"):
                assert contrast(theme[ink], theme[f"{verdict}-box"]) >= 4.5, (theme, ink, verdict)


def test_contrast_is_computed_as_in_the_norm() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_page_stays_small() -> None:
    """A thousand classes, forty targets, large photographs."""
    names = tuple(f"class number {i}" for i in range(1000))
    report = make_report(names=names, shape=(3, 224, 224))
    evidence = tuple(
        replace(item, family=family) for family in "abcd" for item in report.evidence[:1000]
    )
    findings = tuple(
        replace(report.findings[0], target=i, trigger=noise(i)) for i in range(0, 1000, 25)
    )
    report = replace(report, evidence=evidence, findings=findings)
    page = html_report(report, examples=CleanSet(torch.rand(8, 3, 224, 224), torch.arange(8) + 1))
    assert len(page.encode()) <= 2_000_000
    assert "scan.json has all" in page
    assert len(Page(page).all("img")) >= 3


def noise(seed: int) -> Stamp:
    """A trigger that does not compress."""
    generator = torch.Generator().manual_seed(seed)
    pattern = torch.rand(3, 224, 224, generator=generator)
    return Stamp("blend", torch.full((1, 224, 224), 0.2), pattern, "replace", (0.0, 1.0))


def test_a_trigger_inside_the_network_has_no_examples() -> None:
    report = make_report()
    latent = Latent("latent middle", torch.linspace(-1, 1, 8), "network.stage1")
    found = replace(report.findings[0], trigger=latent, family="latent middle")
    page = Page(html_report(replace(report, findings=(found,)), examples=clean_set()))
    assert len(page.all("img")) == 1
    assert "shift of features inside the network" in page.told()
