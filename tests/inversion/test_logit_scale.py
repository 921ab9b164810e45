"""Whatever the temperature of a model, a scan, a repair and a guard say the same of it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from helpers.scan_work import report_of
from helpers.tiny import (
    TARGET,
    assert_unchanged,
    clean_images,
    snapshot,
    toy_network,
    true_trigger,
)
from undoor.adapt import adapt
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.guard import guard
from undoor.identity.model import identify
from undoor.inversion.logit_scale import REFERENCE, flat_share, standardised
from undoor.render.reasons import reason_texts
from undoor.repair import Repair, repair
from undoor.scan.report import ScanReport
from undoor.scan.run import scan
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.vocabulary import NO_SCORE

FACTORS = (1e-6, 1e-3, 1e3, 1e6)
X = clean_images().images


def times(factor: float, *, backdoored: bool = True) -> Classifier:
    """The toy network with its last layer times `factor`."""
    network = toy_network(backdoored=backdoored, norm=True)
    with torch.no_grad():
        network[-1].get_parameter("weight").mul_(factor)
        network[-1].get_parameter("bias").mul_(factor)
    return Classifier(network, input_shape=(1, 8, 8))


class Behind(nn.Module):
    """The toy network with a function behind its scores."""

    def __init__(self, function: Callable[[Tensor], Tensor], *, backdoored: bool = True) -> None:
        super().__init__()
        self.net = toy_network(backdoored=backdoored, norm=True)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.net(x))


def behind(function: Callable[[Tensor], Tensor], output: str = "logits") -> Classifier:
    network = Behind(function)
    return Classifier(network, input_shape=(1, 8, 8), output=output)  # type: ignore[arg-type]


# The scale


@pytest.mark.parametrize("factor", [*FACTORS, 1.0])
def test_standardised_logits(factor: float) -> None:
    """Of the same size, and the same up to rounding; the model stays as it is."""
    classifier = times(factor)
    before = snapshot(classifier)
    standard = standardised(classifier, X)
    assert SINGLE_LABEL.spread(standard(X)) == pytest.approx(REFERENCE, rel=1e-5)
    expected = standardised(times(1.0), X)(X)
    assert torch.allclose(standard(X), expected, atol=1e-4)
    assert torch.equal(standard.predict(X), classifier.predict(X))
    assert classifier.gain == 1.0
    assert standard.fingerprint() == classifier.fingerprint()
    again = standardised(standard, X)
    assert again.gain == pytest.approx(standard.gain)
    assert_unchanged(classifier, before)


def test_a_temperature_inside_the_softmax_is_undone_too() -> None:
    net = nn.Sequential(*toy_network(backdoored=True, norm=True), nn.Softmax(1))
    warm = copy.deepcopy(net)
    with torch.no_grad():
        warm[-2].get_parameter("weight").mul_(20)
        warm[-2].get_parameter("bias").mul_(20)
    made = [Classifier(n, input_shape=(1, 8, 8), output="probabilities") for n in (net, warm)]
    one, two = (standardised(each, X)(X) for each in made)
    first, second = (each - each.mean(1, keepdim=True) for each in (one, two))
    assert torch.allclose(first, second, atol=1e-3)


# Scans


@pytest.mark.parametrize(
    "factor", [1e-6, *(pytest.param(n, marks=pytest.mark.slow) for n in (1e-3, 1e3, 1e6))]
)
def test_verdict_and_targets_at_any_temperature(factor: float, toy_report: ScanReport) -> None:
    report = scan(times(factor), clean_images())
    assert report.verdict == toy_report.verdict == "backdoored"
    assert [finding.target for finding in report.findings] == [TARGET]
    assert report.findings[0].sources == toy_report.findings[0].sources
    one, two = report.findings[0], toy_report.findings[0]
    assert one.family == two.family
    assert one.size == pytest.approx(two.size, rel=0.2)
    assert len(report.evidence) == len(toy_report.evidence)


@pytest.mark.parametrize("factor", [1e-6, pytest.param(1e6, marks=pytest.mark.slow)])
def test_a_clean_twin_stays_clean_at_any_temperature(factor: float) -> None:
    report = scan(times(factor, backdoored=False), clean_images(), accept_coverage="partial")
    assert report.verdict == "clean"


def test_log_probabilities_of_huge_logits() -> None:
    """Float32 holds them, and their differences are those of the logits."""
    huge = standardised(behind(lambda z: (1e4 * z).log_softmax(1)), X)(X)
    usual = standardised(times(1.0), X)(X)
    first, second = (each - each.mean(1, keepdim=True) for each in (huge, usual))
    assert torch.allclose(first, second, atol=1e-3)


@pytest.mark.slow
def test_stepped_scores_with_a_gradient_of_their_own() -> None:
    report = scan(behind(lambda z: z + (z.round() - z).detach()), clean_images())
    assert report.verdict == "backdoored"
    assert [finding.target for finding in report.findings] == [TARGET]


def test_stepped_scores_without_gradient_are_refused() -> None:
    with pytest.raises(UndoorError, match="0 everywhere"):
        scan(behind(torch.round), clean_images())


@pytest.mark.parametrize(
    ("function", "output"),
    [
        (lambda z: 3 * torch.tanh(200 * z), "logits"),
        (lambda z: z.round() + 1e-4 * z, "logits"),
        (lambda z: z.softmax(1).clamp(1e-6, 1 - 1e-6), "probabilities"),
    ],
)
def test_flat_scores_are_inconclusive(function: Callable[[Tensor], Tensor], output: str) -> None:
    """Some gradient passes, but it leads nowhere; nothing is searched for, and it says why."""
    report = scan(behind(function, output), clean_images())
    assert report.verdict == "inconclusive"
    assert report.findings == ()
    assert report.evidence == ()
    assert "the scores are flat" in reason_texts(report)[0]


@pytest.mark.parametrize("backdoored", [True, False])
@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_ordinary_scores_are_not_flat(backdoored: bool, factor: float) -> None:
    assert flat_share(times(factor, backdoored=backdoored), X) is None


# Repair and guard


@functools.cache
def repaired(factor: float, report: ScanReport) -> tuple[Classifier, Repair]:
    """The toy at this temperature, and what a repair of it gives, from the same scan."""
    classifier = times(factor)
    return classifier, repair(classifier, clean_images(30), report_of(classifier, report))


@pytest.fixture
def usual(toy_report: ScanReport) -> tuple[Classifier, Repair]:
    return repaired(1.0, toy_report)


def seen() -> Tensor:
    fresh = clean_images(20, seed=7)
    stamped = true_trigger()(fresh.images[fresh.labels != TARGET])
    return torch.cat([fresh.images, stamped])


def test_repair_and_guard_by_a_power_of_two(
    usual: tuple[Classifier, Repair], toy_report: ScanReport
) -> None:
    """Which no arithmetic rounds: all is the same to the last digit, in units of the logits."""
    factor = 2.0**-20
    other = repaired(factor, toy_report)
    (one, labels, flagged, score), (two, *others) = (
        (made.targets[0], *guard(classifier, made)(seen())) for classifier, made in (usual, other)
    )
    assert one.chosen == two.chosen
    assert two.calibration.threshold == one.calibration.threshold * factor
    for name, correction in one.corrections.items():
        for key, value in correction.parts.items():
            assert torch.equal(value, two.corrections[name].parts[key])
    assert bool(flagged.any())
    assert torch.equal(labels, others[0])
    assert torch.equal(flagged, others[1])
    asked = score > NO_SCORE
    assert torch.equal(score[asked] * factor, others[2][asked])
    assert torch.equal(score[~asked], others[2][~asked])


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_guard_at_any_temperature(
    factor: float, usual: tuple[Classifier, Repair], toy_report: ScanReport
) -> None:
    """Where weights are rounded, searches take other steps to the same."""
    (labels, flagged, _), (others, also, _) = (
        guard(classifier, made)(seen())
        for classifier, made in (usual, repaired(factor, toy_report))
    )
    assert bool(flagged.any())
    assert float((labels == others).float().mean()) > 0.98
    assert float((flagged == also).float().mean()) > 0.98


def test_adapting_by_a_power_of_two(usual: tuple[Classifier, Repair]) -> None:
    """Plans are chosen by probabilities, which have a temperature."""
    classifier, made = usual
    factor = 2.0**-20
    cold = times(factor)
    (item,) = made.targets
    calibration = replace(item.calibration, threshold=item.calibration.threshold * factor)
    identity = identify(cold)
    other = replace(
        made,
        targets=(replace(item, calibration=calibration),),
        fingerprint=str(identity.sha256),
        identity=identity,
    )
    clean = clean_images(20, seed=3)
    (one,), (two,) = (
        adapt(c, clean, r, seen()).targets for c, r in ((classifier, made), (cold, other))
    )
    assert one.adapted is not None
    assert one.adapted.refitted
    assert one.trials == two.trials
    assert one.chosen == two.chosen
    assert two.calibration.threshold == pytest.approx(one.calibration.threshold * factor)
