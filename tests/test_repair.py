"""From a scan to corrections."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from helpers.tiny import (
    TARGET,
    assert_unchanged,
    clean_images,
    snapshot,
    toy_classifier,
    true_trigger,
)
from helpers.wrapped_networks.by_input import RedPixel
from helpers.wrapped_networks.wrapped import SHAPE
from undoor.align.fit import FITS
from undoor.align.plans import candidate_plans
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.evaluate import evaluate, stamp_set
from undoor.guard import guard
from undoor.inversion.work import Work
from undoor.repair import Repair, repair
from undoor.scan.coverage import Coverage
from undoor.scan.reason import written
from undoor.scan.report import Finding, ScanReport
from undoor.scrutiny import GraphWarning
from undoor.sites import attach, find_sites
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.vocabulary import DEFAULT_FPR


def report_of(
    *, norm: bool = True, sources: tuple[int, ...] = (0, 1, 3, 4, 5), findings: int = 1
) -> ScanReport:
    """A report without the search, with the true trigger."""
    classifier = toy_classifier(backdoored=True, norm=norm)
    finding = Finding(TARGET, sources, "patch", 0.001, 30.0, 4.0, 1.0, true_trigger())
    return ScanReport(
        "backdoored",
        (written("planted"),),
        (finding,) * findings,
        (),
        Coverage(),
        classifier.class_names,
        classifier.fingerprint(),
        60,
        0,
        1.25,
        1000,
    )


def test_closes_the_backdoor(toy_repair: Repair, toy_report: ScanReport) -> None:
    """With the recovered trigger, on new images, against the true one."""
    (item,) = toy_repair.targets
    assert item.target == TARGET
    assert item.sources == toy_report.findings[0].sources
    assert toy_repair.verdict == "backdoored"
    assert toy_repair.fit == "paired"
    assert toy_repair.fingerprint == toy_report.fingerprint
    classifier, test = toy_classifier(backdoored=True, norm=True), clean_images(30, seed=21)
    guarded = guard(classifier, toy_repair)
    stamped = stamp_set(test, true_trigger(), TARGET)
    result = evaluate(classifier, guarded, test, stamped, TARGET)
    after = {name: rate.value or 0.0 for name, rate in result.after.items()}
    assert result.before["asr"].value == 1
    assert after["asr"] < 0.05
    assert after["sia"] > 0.9
    assert after["acc"] > 0.95
    assert after["fpr_target"] < 0.15


def test_describes_itself(toy_repair: Repair) -> None:
    classifier = toy_classifier(backdoored=True, norm=True)
    (item,) = toy_repair.targets
    sites = {site.name: site for site in find_sites(classifier)}
    plans = candidate_plans(list(sites.values()))
    assert [trial.name for trial in item.trials] == [n for n in plans if n != "input alone"]
    assert dict(plans[item.chosen]) == {site.name: site.granularity for site in item.sites}
    assert list(item.corrections) == list(plans[item.chosen])
    assert [site.extent for site in item.sites] == [sites[s.name].extent for s in item.sites]
    best = max(item.trials, key=lambda trial: trial.score)
    assert item.chosen == best.name
    assert item.sia == pytest.approx(best.sia)
    assert item.fpr == pytest.approx(best.fpr)
    for value in (item.asr, item.sia, item.fpr):
        assert value is not None
        assert 0 <= value <= 1
    assert item.threshold == item.calibration.threshold
    assert all(math.isfinite(site.moved) and site.moved >= 0 for site in item.sites)
    assert set(toy_repair.seconds) == {"scan", "align"}


def require_closed(classifier: Classifier, made: Repair) -> None:
    """On images and with the trigger that the repair did not see."""
    test = clean_images(20, seed=22)
    stamped = stamp_set(test, true_trigger(), TARGET)
    result = evaluate(classifier, guard(classifier, made), test, stamped, TARGET)
    assert result.after["asr"].value < 0.1  # type: ignore[operator]
    assert result.after["sia"].value > 0.8  # type: ignore[operator]
    assert result.after["acc"].value > 0.9  # type: ignore[operator]


# One of each kind is tried without a norm; test_fit.py has all of them on every network.
@pytest.mark.parametrize(
    ("fit", "norm"),
    [(fit, True) for fit in FITS]
    + [(fit, False) for fit in ("paired", "onepass", "paper", "reference")],
)
def test_every_fit(fit: str, norm: bool) -> None:
    classifier = toy_classifier(backdoored=True, norm=norm)
    made = repair(classifier, clean_images(), report_of(norm=norm), fit=fit)
    assert made.fit == fit
    if fit != "onepass_affine":
        require_closed(classifier, made)
        return
    # Without bounds this trigger, far stronger than its estimate, keeps most of its margin and is
    # not flagged; what the corrections leave of the image is answered rightly all the same.
    test = clean_images(20, seed=22)
    stamped = stamp_set(test, true_trigger(), TARGET)
    corrected = attach(classifier.fast_copy(), made.targets[0].corrections)
    answers = SINGLE_LABEL.without(corrected.logits(stamped.images), TARGET).argmax(1)
    assert float((answers == stamped.labels).float().mean()) > 0.8


def test_a_plan_that_is_asked_for() -> None:
    """Is taken, whatever another would reach, and is all that is tried."""
    classifier = toy_classifier(backdoored=True, norm=True)
    for plan in ("per channel", "input alone"):
        (target,) = repair(classifier, clean_images(), report_of(), plan=plan).targets
        assert target.chosen == plan
        assert [trial.name for trial in target.trials] == [plan]
        assert set(target.corrections) == set(candidate_plans(find_sites(classifier))[plan])


def test_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the scan's trigger, of which nothing more is searched for, and with the coarsest plan or
    the one asked for; triggered images are still told from clean ones."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a search")

    monkeypatch.setattr(Work, "invert", never)
    classifier, report = toy_classifier(backdoored=True, norm=True), report_of()
    made = repair(classifier, clean_images(), report, quick=True)
    (target,) = made.targets
    assert [trial.name for trial in target.trials] == ["per channel"]
    assert target.trigger is report.findings[0].trigger
    require_closed(classifier, made)
    (other,) = repair(classifier, clean_images(), report, quick=True, plan="input alone").targets
    assert other.chosen == "input alone"


@pytest.mark.parametrize(
    ("family", "fit", "bounded"),
    [("warp", "paired", False), ("warp", "onepass", True), ("patch", "paired", True)],
)
def test_warps_bring_no_extremes(family: str, fit: str, bounded: bool) -> None:
    """Where one was found there are no bounds, unless a fit is asked for that has them."""
    classifier, report = toy_classifier(backdoored=True, norm=True), report_of()
    found = replace(report, findings=(replace(report.findings[0], family=family),))
    made = repair(classifier, clean_images(), found, fit=fit, quick=True)
    (item,) = made.targets
    assert made.fit == fit
    for h in item.corrections.values():
        assert bool(torch.isfinite(h.low).all()) == bool(torch.isfinite(h.high).all()) == bounded


def test_a_plan_that_there_is_not() -> None:
    """Also where nothing is to be repaired: a clean report hides no mistake."""
    classifier = toy_classifier(backdoored=True, norm=True)
    nothing = replace(report_of(), findings=())
    with pytest.raises(UndoorError, match=r"per channel, .*got 'per row'"):
        repair(classifier, clean_images(), nothing, plan="per row")
    with pytest.raises(UndoorError, match="channels alone"):
        repair(classifier, clean_images(), nothing, plan="input alone", fit="reference")


def test_is_seeded_and_changes_nothing(toy_repair: Repair, toy_report: ScanReport) -> None:
    classifier, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    before, images = snapshot(classifier), clean.images.clone()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    again = repair(classifier, clean, toy_report)
    assert torch.equal(torch.get_rng_state(), state)
    assert_unchanged(classifier, before)
    assert torch.equal(clean.images, images)
    assert replace(again, seconds={}).to_json() == replace(toy_repair, seconds={}).to_json()
    for name, h in again.targets[0].corrections.items():
        for part, value in h.state_dict().items():
            assert torch.equal(value, getattr(toy_repair.targets[0].corrections[name], part))


def test_says_what_so_few_images_can_promise(toy_repair: Repair) -> None:
    """Ten clean images answered with the target are too few for one in a hundred."""
    calibration = toy_repair.targets[0].calibration
    assert (calibration.wanted, calibration.n) == (DEFAULT_FPR, 10)
    assert calibration.flagged.value == 0
    assert calibration.resolution == pytest.approx(1 / 11)
    assert (calibration.attainable, calibration.needed) == (False, 99)


def test_wanted_rate() -> None:
    """It is recorded, and where the images can promise it, nothing more is said."""
    classifier = toy_classifier(backdoored=True, norm=True)
    made = repair(classifier, clean_images(), report_of(), fpr=0.2)
    calibration = made.targets[0].calibration
    assert calibration.wanted == 0.2
    assert calibration.attainable
    assert (calibration.flagged.value or 0) <= 0.2


@pytest.mark.parametrize("fpr", [0.0, 1.0, -1.0, math.nan])
def test_wanted_rate_must_be_a_share(fpr: float) -> None:
    """Told at once, not after minutes of work, and also where there is nothing to repair."""
    classifier, clean = toy_classifier(backdoored=True, norm=True), clean_images()
    for report in (report_of(), replace(report_of(findings=0), verdict="clean")):
        with pytest.raises(UndoorError, match="above 0 and below 1"):
            repair(classifier, clean, report, fpr=fpr, progress=_never)


def _never(*_: object) -> None:
    raise AssertionError("work was begun")


def test_nothing_to_repair() -> None:
    classifier = toy_classifier(backdoored=True, norm=True)
    report = replace(report_of(findings=0), verdict="clean")
    made = repair(classifier, clean_images(), report)
    assert made.targets == ()
    assert made.verdict == "clean"
    assert made.seconds["scan"] == 1.25


def test_report_of_another_model() -> None:
    """Also of the same network with other weights, or another input transform."""
    with pytest.raises(UndoorError, match="the scan: this is the scan of another model"):
        repair(toy_classifier(backdoored=False, norm=True), clean_images(), report_of())
    with pytest.raises(UndoorError, match="the scan: this is the scan of another model"):
        repair(toy_classifier(backdoored=True, norm=False), clean_images(), report_of())


def test_unknown_fit() -> None:
    with pytest.raises(UndoorError, match=r"expected a fit .* got 'best'"):
        repair(toy_classifier(backdoored=True, norm=True), clean_images(), report_of(), fit="best")


@pytest.mark.parametrize("part", [slice(0, 0), slice(0, 10)])
def test_unusable_clean_set(part: slice) -> None:
    clean = clean_images()
    cut = CleanSet(clean.images[part], clean.labels[part])
    with pytest.raises(UndoorError, match=r"empty|at least 2 classes"):
        repair(toy_classifier(backdoored=True, norm=True), cut, report_of())


@pytest.mark.filterwarnings("ignore:var_mean")
@pytest.mark.parametrize(
    ("per_class", "sources"), [(1, (0, 1, 3, 4, 5)), (2, (4,)), (3, (4,)), (1, (4,))]
)
def test_few_images(per_class: int, sources: tuple[int, ...]) -> None:
    """One source class and an image or two of it: a poor repair or a clear refusal, no NaN."""
    classifier = toy_classifier(backdoored=True, norm=True)
    clean = clean_images(per_class)
    try:
        made = repair(classifier, clean, report_of(sources=sources))
    except UndoorError as error:
        assert "image" in str(error)  # noqa: PT017
        return
    (item,) = made.targets
    for value in (item.threshold, item.asr, item.sia, item.fpr):
        assert value is not None
        assert math.isfinite(value)
    for h in item.corrections.values():
        assert bool(torch.isfinite(h.scale).all())
        assert bool(torch.isfinite(h.shift).all())
    logits, _, _ = guard(classifier, made).logits(true_trigger()(clean.images))
    assert not bool(logits.isnan().any())


def test_one_source_class() -> None:
    """The images of that class alone are fitted on; the others keep their answers."""
    classifier = toy_classifier(backdoored=True, norm=True)
    made = repair(classifier, clean_images(16), report_of(sources=(4,)))
    assert made.targets[0].sources == (4,)
    test = clean_images(20, seed=23)
    labels, _, _ = guard(classifier, made)(test.images)
    assert float((labels == test.labels).float().mean()) > 0.9


def test_progress_and_interrupt() -> None:
    classifier = toy_classifier(backdoored=True, norm=True)
    calls: list[tuple[str, int, int]] = []
    repair(classifier, clean_images(), report_of(), progress=lambda *call: calls.append(call))
    assert {"choosing where to correct", "inverting patch triggers"} <= {c[0] for c in calls}
    assert all(0 <= done <= total for _, done, total in calls)
    for stage in ("inverting patch triggers", "choosing where to correct"):

        def stop(name: str, *_: int, wanted: str = stage) -> None:
            if name == wanted:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            repair(classifier, clean_images(), report_of(), progress=stop)


def test_warns_of_what_is_odd_in_the_graph() -> None:
    """A repair of what a scan was shown says nothing of what is behind a switch."""
    network = RedPixel()
    classifier = Classifier(network, input_shape=SHAPE)
    report = replace(report_of(findings=0), fingerprint=classifier.fingerprint())
    with pytest.warns(GraphWarning, match=r"compares values.*is not repaired"):
        repair(classifier, clean_images(), report)
