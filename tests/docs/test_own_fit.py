"""docs/own-fit.md, as somebody would copy it: its fit closes a backdoor."""

from __future__ import annotations

import pytest
import torch

import undoor
from helpers.installed_package import Package
from helpers.tiny import TARGET, clean_images, random_classifier, toy_classifier, true_trigger
from undoor.align.fit import fit_corrections, require_fit
from undoor.align.plans import candidate_plans
from undoor.scan.report import ScanReport
from undoor.sites import find_sites


@pytest.fixture
def guided(package: Package) -> Package:
    package.declares_example("own-fit.md", "guided_robust")
    return package


@pytest.mark.usefixtures("guided")
def test_it_closes_the_backdoor(toy_report: ScanReport) -> None:
    classifier = toy_classifier(backdoored=True, norm=True)
    made = undoor.repair(classifier, clean_images(), toy_report, fit="robust")
    assert made.fit == "robust"
    guarded = undoor.guard(classifier, made)
    fresh = clean_images(20, seed=22)
    others = fresh.labels != TARGET
    labels, flagged, _ = guarded(true_trigger()(fresh.images)[others])
    assert float(flagged.float().mean()) > 0.9
    assert float((labels == fresh.labels[others]).float().mean()) > 0.8
    _, flagged, _ = guarded(fresh.images)
    assert float(flagged.float().mean()) < 0.1


@pytest.mark.usefixtures("guided")
@pytest.mark.parametrize("kind", ["conv", "mlp"])
def test_it_takes_every_plan(kind: str) -> None:
    classifier = random_classifier(kind)
    clean = torch.rand(9, *classifier.input_shape, generator=torch.Generator().manual_seed(0))
    for plan in candidate_plans(find_sites(classifier)).values():
        made = fit_corrections(classifier, clean, clean[:7] * 0.5, plan, fit="robust")
        assert list(made) == list(plan)


@pytest.mark.usefixtures("guided")
def test_it_restores_median_and_quartiles() -> None:
    generator = torch.Generator().manual_seed(1)
    clean = torch.randn(101, 3, 4, 4, generator=generator)
    correction = require_fit("robust")(clean, 1.5 * clean + 2, "position")
    torch.testing.assert_close(correction(1.5 * clean + 2), clean, rtol=0.01, atol=0.01)
