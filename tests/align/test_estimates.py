"""More estimates of one trigger, and what corrections are fitted on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from helpers.tiny import BOUNDS, SIDE, TARGET, clean_images, toy_classifier, true_trigger
from undoor.align.estimates import InTurn, estimate, families_telling, held_out, together
from undoor.align.strengthened import Strengthened
from undoor.inversion.triggered import triggered
from undoor.inversion.work import Run
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.spaces.images import IMAGES
from undoor.triggers import Latent, Stamp

SHAPE = (1, 2, 2)
EXTENT = IMAGES.extent(SHAPE)


def stamp(value: float, family: str = "blend") -> Stamp:
    pattern = torch.full(SHAPE, value)
    return Stamp(family, torch.ones(1, 2, 2), pattern, "replace", (-9.0, 9.0))


def seen(
    family: str, p_value: float, target: int = TARGET, source: int | None = None
) -> ClassEvidence:
    return ClassEvidence(target, family, 1.0, 5.0, p_value, source=source)


def as_additive(report: ScanReport) -> Finding:
    """The finding of the toy's report as if its family were that of additive patterns."""
    (finding,) = report.findings
    images = clean_images()
    x = images.images[images.labels != TARGET]
    pattern = (true_trigger()(x) - x).mean(0)
    trigger = Stamp("additive", torch.zeros(1, SIDE, SIDE), pattern, "add", BOUNDS)
    return replace(finding, family="additive", trigger=trigger)


def test_each_row_gets_one_change_in_turn() -> None:
    rows = InTurn([stamp(1.0), stamp(2.0), stamp(3.0)])(torch.zeros(7, *SHAPE))[:, 0, 0, 0]
    assert rows.tolist() == [1, 2, 3, 1, 2, 3, 1]


def test_families_share_the_rows_evenly() -> None:
    change = together([[stamp(1.0)], [stamp(2.0), stamp(3.0)]], EXTENT)
    assert change is not None
    rows = change(torch.zeros(8, *SHAPE))[:, 0, 0, 0]
    assert rows.tolist() == [1, 2, 1, 3, 1, 2, 1, 3]


def test_what_was_found_inside_the_network_gives_way_to_what_was_found_at_the_input() -> None:
    inside = Latent("latent early", torch.ones(4), "network.0")
    assert together([[inside]], EXTENT) is None
    change = together([[inside], [stamp(2.0)]], EXTENT)
    assert change is not None
    assert change.site == "entry"


def test_one_family_is_fitted_on_its_first_trigger_or_strengthened() -> None:
    assert together([[stamp(1.0), stamp(2.0)]], EXTENT) is None
    noise = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    faint = [
        Stamp("additive", torch.zeros(1, 2, 2), 0.001 * pattern, "add", (-9.0, 9.0))
        for pattern in noise
    ]
    assert isinstance(together([faint], EXTENT), Strengthened)


def test_each_of_several_families_is_held_out_once() -> None:
    parts = held_out([[stamp(1.0)], [stamp(2.0)], [stamp(3.0), stamp(4.0)]], EXTENT)
    assert [len(part.triggers) for part in parts] == [1, 1, 2]
    rows = [part.others(torch.zeros(4, *SHAPE))[:, 0, 0, 0].tolist() for part in parts]
    assert rows == [[2, 3, 2, 4], [1, 3, 1, 4], [1, 2, 1, 2]]


def test_of_few_families_at_the_input_none_is_held_out() -> None:
    inside = Latent("latent early", torch.ones(4), "network.0")
    assert held_out([[inside], [stamp(1.0)], [stamp(2.0), stamp(3.0)]], EXTENT) == ()


def test_families_in_which_the_target_stands_out(toy_report: ScanReport) -> None:
    """Those of margins stand for the family of their candidates."""
    finding = as_additive(toy_report)
    evidence = [
        seen("blend margin", 0.01),
        seen("warp", 0.4),
        seen("tone margin", 0.01, target=TARGET + 1),
        seen("patch by source", 0.001),
        seen("latent early", 0.001),
        seen("patch", 0.001, source=3),
    ]
    assert families_telling(finding, evidence) == ("additive", "blend")


@pytest.mark.usefixtures("arithmetic")
def test_three_families_are_held_out_in_turn(toy_report: ScanReport) -> None:
    model, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    finding = as_additive(toy_report)
    evidence, sources = [seen("patch", 0.01), seen("blend", 0.01)], clean.labels != TARGET
    generator = torch.Generator().manual_seed(0)
    made = estimate(model, clean, finding, evidence, sources, Run(generator))
    families = [part.triggers[0].family for part in made.held_out]
    assert families == ["additive", "patch", "blend"]


def test_waves_beside_additive_patterns_are_left_out(toy_report: ScanReport) -> None:
    """Unless a wave is what was found, or no other additive pattern stands out."""
    finding = as_additive(toy_report)
    wave = replace(finding, family="frequency")
    patch = replace(finding, family="patch")
    evidence = [seen("additive margin", 0.01), seen("frequency margin", 0.01)]
    assert families_telling(finding, evidence) == ("additive",)
    assert families_telling(wave, evidence) == ("frequency", "additive")
    assert families_telling(patch, evidence) == ("patch", "additive")
    assert families_telling(patch, evidence[1:]) == ("patch", "frequency")


def test_beside_a_warp_that_was_found_nothing_is_fitted_on(toy_report: ScanReport) -> None:
    """A warp that stands out beside something else is no such by-product."""
    (finding,) = toy_report.findings
    evidence = [seen("warp", 0.01), seen("patch", 0.01)]
    assert families_telling(replace(finding, family="warp"), evidence) == ("warp",)
    patch = replace(finding, family="patch")
    assert families_telling(patch, evidence) == ("patch", "warp")


def test_what_was_found_inside_is_drawn_at_the_input(toy_report: ScanReport) -> None:
    (finding,) = toy_report.findings
    inside = Latent("latent early", torch.ones(4), "network.0")
    finding = replace(finding, family="latent early", trigger=inside)
    assert families_telling(finding, ()) == ("latent early", "generator")


@pytest.mark.parametrize("telling", [True, False])
@pytest.mark.usefixtures("arithmetic")
def test_estimates_work_and_the_own_one_is_first(toy_report: ScanReport, telling: bool) -> None:
    """Where no other family saw the backdoor, patches are judged by, but nothing is fitted on
    them."""
    model, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    finding = as_additive(toy_report)
    evidence = [seen("patch", 0.001)] if telling else []
    sources = clean.labels != TARGET
    made = estimate(
        model,
        clean,
        finding,
        evidence,
        sources,
        Run(torch.Generator().manual_seed(0)),
    )
    assert made.triggers[0] is finding.trigger
    assert {trigger.family for trigger in made.triggers} == {"additive", "patch"}
    for trigger in made.triggers:
        moved = triggered(model, trigger).predict(clean.images[sources]) == TARGET
        assert float(moved.float().mean()) >= 0.5
    assert isinstance(made.change, InTurn) == telling


def test_what_stands_out_nowhere_is_fitted_on_all_families(toy_report: ScanReport) -> None:
    model, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    finding = replace(as_additive(toy_report), p_value=0.2)
    generator = torch.Generator().manual_seed(0)
    made = estimate(model, clean, finding, (), clean.labels != TARGET, Run(generator))
    assert isinstance(made.change, InTurn)
    assert len(made.change.changes) == 2
