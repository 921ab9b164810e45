"""The whole scan, on a network of which everything is known."""

from __future__ import annotations

import functools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers.family_names import BY_SOURCE, INPUT_FAMILIES, OF_ONE_SIZE, SHARED
from helpers.tiny import (
    CLASSES,
    TARGET,
    assert_unchanged,
    clean_images,
    faint_images,
    relay_classifier,
    snapshot,
    toy_classifier,
    toy_network,
    true_trigger,
)
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import CPU, FLOAT32, fast_bfloat16
from undoor.errors import UndoorError
from undoor.families.calibration import calibration_for
from undoor.families.registry import families_for
from undoor.inversion.meter import Budget, Meter
from undoor.journal import Journal
from undoor.render.coverage import reasons
from undoor.render.reasons import reason_texts
from undoor.scan import confirm
from undoor.scan.decide import Thresholds
from undoor.scan.reason import UnfinishedFacts, written
from undoor.scan.report import Finding, ScanReport
from undoor.scan.run import scan
from undoor.scan.search import budget_reasons
from undoor.sites import network_kind
from undoor.triggers import Stamp
from undoor.vocabulary import BUDGET_ENDED, MANY_CLASSES, AcceptCoverage, Verdict

run = sys.modules["undoor.scan.run"]
NEXT = {label: (label + 1) % CLASSES for label in range(CLASSES)}
OTHERS = tuple(label for label in range(CLASSES) if label != TARGET)


def test_toy_is_what_it_claims() -> None:
    """The premise of all tests here: right on clean images, taken in by the trigger."""
    clean = clean_images(20, seed=5)
    for norm in (False, True):
        bad, good = (toy_classifier(backdoored=b, norm=norm) for b in (True, False))
        stamped = true_trigger()(clean.images)
        assert bool((bad.predict(clean.images) == clean.labels).all())
        assert bool((good.predict(clean.images) == clean.labels).all())
        assert bool((bad.predict(stamped) == TARGET).all())
        assert bool((good.predict(stamped) == clean.labels).all())


# Verdicts


@pytest.mark.usefixtures("arithmetic")
def test_backdoor_is_found(toy_report: ScanReport) -> None:
    assert toy_report.verdict == "backdoored"
    assert [finding.target for finding in toy_report.findings] == [TARGET]
    (finding,) = toy_report.findings
    assert finding.sources == OTHERS
    assert finding.p_value <= 0.01
    assert finding.score >= 4
    classifier, fresh = toy_classifier(backdoored=True), clean_images(20, seed=9)
    x = fresh.images[fresh.labels != TARGET]
    moved = classifier.predict(finding.trigger(x)) == TARGET
    assert float(moved.float().mean()) > 0.7
    assert finding.family in INPUT_FAMILIES
    assert finding.size > 0


@pytest.mark.usefixtures("arithmetic")
def test_twin_without_backdoor_is_not_backdoored() -> None:
    """That without a norm is scanned with images of bytes, below."""
    classifier = toy_classifier(backdoored=False, norm=True)
    report = scan(classifier, clean_images(), accept_coverage="partial")
    assert report.verdict == "clean"
    assert report.findings == ()


def test_targets_need_no_images() -> None:
    """Nor do some of the others; where nothing stands out, what these could show is missing."""
    clean = clean_images()
    some = clean.labels.unsqueeze(1).ne(torch.tensor([TARGET, 5])).all(1)
    lacking = CleanSet(clean.images[some], clean.labels[some])
    report = scan(toy_classifier(backdoored=True, norm=True), lacking)
    assert report.verdict == "backdoored"
    (finding,) = report.findings
    assert finding.target == TARGET
    assert set(finding.sources) <= set(lacking.labels.tolist())
    twin = scan(toy_classifier(backdoored=False, norm=True), lacking)
    assert twin.verdict == "inconclusive"
    assert any("2 of 6 classes have no clean images" in reason for reason in reasons(twin))


def test_evidence_is_complete(toy_report: ScanReport) -> None:
    """Each class and family once, in order; the scan says on what it looked."""
    families = families_for(toy_classifier(backdoored=True))
    assert "generator" not in families
    found = [(item.family, item.target, item.source) for item in toy_report.evidence]
    targets, sources, shared = found[: -CLASSES - 1], found[-CLASSES - 1 : -1], found[-1]
    assert targets == [(family, t, None) for family in families for t in range(CLASSES)]
    assert [(family, source) for family, _, source in sources] == [
        (BY_SOURCE, source) for source in range(CLASSES)
    ]
    assert (shared[0], shared[2]) == (SHARED, None)
    assert toy_report.images == 60
    assert toy_report.seed == 0
    assert toy_report.seconds > 0
    assert 20_000 < toy_report.passes < 60_000
    assert toy_report.class_names == tuple("012345")
    classifier = toy_classifier(backdoored=True, norm=True)
    assert toy_report.fingerprint == classifier.fingerprint()


def told(report: ScanReport) -> dict[str, Any]:
    """All but when the scan was made and how long it took."""
    return replace(report, seconds=0, date=None).to_json()


def test_same_seed_same_numbers(toy_report: ScanReport) -> None:
    classifier = toy_classifier(backdoored=True, norm=True)
    before = snapshot(classifier)
    clean = clean_images()
    images = clean.images.clone()
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = scan(classifier, clean)
    assert torch.equal(torch.get_rng_state(), state)
    assert_unchanged(classifier, before)
    assert torch.equal(clean.images, images)
    assert told(again) == told(toy_report)
    for one, two in zip(again.findings, toy_report.findings, strict=True):
        assert isinstance(one.trigger, Stamp)
        assert isinstance(two.trigger, Stamp)
        assert torch.equal(one.trigger.mask, two.trigger.mask)
        assert torch.equal(one.trigger.pattern, two.trigger.pattern)


def test_another_seed_other_units_and_no_norm(toy_report: ScanReport) -> None:
    """The same verdict by other numbers: a model of 0 to 255 that divides by 255 itself is the same
    model, and the norm of the twin changes nothing."""
    clean = clean_images()
    network = toy_network(backdoored=True)
    classifier = Classifier(
        network, input_shape=(1, 8, 8), bounds=(0, 255), scale=1 / 255, mean=[0], std=[1]
    )
    report = scan(classifier, replace(clean, images=255 * clean.images), seed=5)
    assert report.verdict == "backdoored"
    assert [finding.target for finding in report.findings] == [TARGET]
    trigger = report.findings[0].trigger
    assert isinstance(trigger, Stamp)
    assert float(trigger.pattern.max()) > 10  # far outside [0, 1]
    assert report.seed == 5
    assert report.evidence != toy_report.evidence


# Backdoors without a target that all others reach


@functools.cache
def _next_report(_bfloat16: bool) -> ScanReport:
    return scan(relay_classifier(NEXT), faint_images())


@pytest.fixture
def next_report() -> ScanReport:
    """Of a network in which one trigger sends every class to the next."""
    return _next_report(fast_bfloat16(CPU))


def moved(classifier: Classifier, finding: Finding) -> float:
    """Share of 50 fresh images of each source that the finding's trigger moves to its target."""
    fresh = faint_images(50, seed=9)
    x = fresh.images[torch.isin(fresh.labels, torch.tensor(finding.sources))]
    return float((classifier.predict(finding.trigger(x)) == finding.target).float().mean())


@pytest.mark.usefixtures("arithmetic")
def test_every_target_and_source_of_all_to_all(next_report: ScanReport) -> None:
    assert next_report.verdict == "backdoored"
    sources = {finding.target: finding.sources for finding in next_report.findings}
    assert sources == {target: (source,) for source, target in NEXT.items()}
    assert {finding.family for finding in next_report.findings} == {"patch"}
    # Nearly all images move: of the three held-out ones of a class, one may stay.
    assert all(finding.asr_on_clean_set > 0.6 for finding in next_report.findings)
    classifier = relay_classifier(NEXT)
    shares = [moved(classifier, finding) for finding in next_report.findings]
    assert min(shares) >= 0.7
    assert sum(shares) >= 0.9 * CLASSES
    assert len(reason_texts(next_report)) == CLASSES
    assert all("1 of 5 other classes" in reason for reason in reason_texts(next_report))


@pytest.mark.usefixtures("arithmetic")
def test_all_to_all_shows_where_all_leave(next_report: ScanReport) -> None:
    """No class is a target for all others; the patch for all has no one target."""
    by_family: dict[str, list[float]] = {}
    for item in next_report.evidence:
        by_family.setdefault(item.family, []).append(item.p_value)
    assert min(by_family["patch"]) > 0.1
    assert by_family[SHARED][0] < 1e-3
    assert next_report.evidence[-1].target is None


@pytest.mark.parametrize(("sources", "float32"), [((3,), False), ((0, 3), True)])
def test_sources_of_a_backdoor_for_some(
    sources: tuple[int, ...], float32: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if float32:
        monkeypatch.setenv(FLOAT32, "1")
    classifier = relay_classifier(dict.fromkeys(sources, 1))
    report = scan(classifier, faint_images())
    assert report.verdict == "backdoored"
    assert [(finding.target, finding.sources) for finding in report.findings] == [(1, sources)]
    (finding,) = report.findings
    assert finding.family == "patch"
    # Nearly all images move: of the three held-out ones of a class, one may stay.
    assert finding.asr_on_clean_set > 0.6
    assert moved(classifier, finding) >= 0.9
    assert f"{len(sources)} of 5 other classes to class 1" in reason_texts(report)[0]
    confirmed = [item for item in report.evidence if item.asr is not None]
    assert [(item.family, item.target) for item in confirmed] == [(BY_SOURCE, 1)]
    assert confirmed[0].source in sources


def test_deep_twin_without_backdoor() -> None:
    """With a latent family, and where nothing follows the classes."""
    report = scan(relay_classifier({}), faint_images(), accept_coverage="partial")
    assert report.verdict == "clean"
    assert "latent middle" in {item.family for item in report.evidence}


# What was left out


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("clean", "inconclusive"), ("inconclusive", "inconclusive"), ("backdoored", "backdoored")],
)
def test_no_clean_verdict_without_the_latent_families(
    verdict: Verdict, expected: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any verdict the reasons say what was not searched for."""

    class Computed(nn.Module):
        """The toy with a last layer whose weights are computed, so that it is no layer."""

        def __init__(self) -> None:
            super().__init__()
            *layers, last = toy_network(backdoored=False)
            self.layers = nn.Sequential(*layers)
            self.weight, self.bias = last.get_parameter("weight"), last.get_parameter("bias")

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(self.layers(x), 1.0 * self.weight, self.bias)

    def found(*_: object) -> Any:
        return run.SearchResult(verdict, (written("as searched"),))

    monkeypatch.setattr(run, "search_and_decide", found)
    classifier = Classifier(Computed(), input_shape=(1, 8, 8))
    report = scan(classifier, clean_images())
    assert report.verdict == expected
    assert "as searched" in reasons(report)
    assert any("latent middle" in reason for reason in reasons(report))
    accepted = scan(classifier, clean_images(), accept_coverage="partial")
    assert (accepted.verdict, accepted.coverage.accepted) == (verdict, True)
    assert any(reason.startswith("accepted: ") for reason in reasons(accepted))


def test_a_budget_that_ended_is_said_of_a_backdoored_model_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        sys.modules["undoor.scan.search"],
        "decide",
        lambda *_, **__: ("backdoored", (written("found"),)),
    )
    report = scan(toy_classifier(backdoored=True), clean_images(), budget=Budget(passes=20_000))
    assert report.verdict == "backdoored"
    assert reason_texts(report)[0] == "found"
    assert "the budget ended" in reason_texts(report)[1]
    assert "shared patch" in reason_texts(report)[1]
    assert report.causes == ("budget",)


# Number of classes


def test_a_backdoor_among_many_classes(next_report: ScanReport) -> None:
    """Only some are followed, those of each family drawn anew; the planted is among them. A wave
    of few pixels shows it, which may leave a class where it is."""
    classes = 20
    moves = {label: TARGET for label in range(classes) if label != TARGET}
    report = scan(relay_classifier(moves, classes=classes), faint_images(6, classes=classes))
    assert report.verdict == "backdoored"
    assert [finding.target for finding in report.findings] == [TARGET]
    sources = report.findings[0].sources
    assert set(sources) <= set(moves)
    assert len(sources) >= 0.9 * len(moves)
    for family in ("additive margin", "patch", "latent middle"):
        followed = [item.target for item in report.evidence if item.family == family]
        assert TARGET in followed
        assert 12 <= len(set(followed)) == len(followed) <= 18
    assert report.passes < classes / CLASSES / 1.25 * next_report.passes


@pytest.mark.parametrize(("classes", "accept"), [(2, "full"), (4, "partial")])
@pytest.mark.parametrize("backdoored", [True, False])
def test_no_verdict_on_fewer_classes_than_were_calibrated(
    backdoored: bool, classes: int, accept: AcceptCoverage
) -> None:
    """What stands out is still reported, and the target is the loudest of all evidence; whatever
    the user accepts."""
    clean = clean_images(30 // classes, classes=classes)
    classifier = toy_classifier(backdoored=backdoored, classes=classes)
    of_many = calibration_for(MANY_CLASSES)
    report = scan(classifier, clean, accept_coverage=accept, calibration=of_many)
    assert report.verdict == "inconclusive"
    assert sum(f"has {classes} classes" in reason for reason in reasons(report)) == 1
    assert not report.findings
    if backdoored:
        assert min(report.evidence, key=lambda item: item.p_value).target == TARGET % classes
        assert reason_texts(report)


@pytest.mark.parametrize("classes", [2, 4])
def test_few_classes_have_a_calibration_of_their_own(classes: int) -> None:
    """In which each counts by itself: there are too few others to compare with. It holds for
    nothing but models like those that it was learned from."""
    clean = clean_images(30 // classes, classes=classes)
    models = [toy_classifier(backdoored=bad, classes=classes) for bad in (True, False)]
    assert {scan(model, clean).verdict for model in models} == {"inconclusive"}
    few = calibration_for(classes)
    network, channels = network_kind(models[0]), models[0].input_shape[0]
    scope = replace(few.scope, network=network, sides=(8, 8), channels=(channels, channels))
    planted, twin = (scan(m, clean, calibration=replace(few, scope=scope)) for m in models)
    assert [finding.target for finding in planted.findings] == [TARGET % classes]
    # Too few backdoored models are found by it.
    assert twin.verdict == "inconclusive"


# Budget


@pytest.mark.parametrize(
    "budget",
    [Budget(passes=1), Budget(passes=626), Budget(seconds=1e-6)],
)
def test_a_budget_that_ends_is_never_a_clean_verdict(budget: Budget) -> None:
    report = scan(toy_classifier(backdoored=False), clean_images(), budget=budget)
    assert report.verdict == "inconclusive"
    assert "budget ended" in reason_texts(report)[0]
    assert report.causes == ("budget",)
    if budget.passes:
        assert report.passes <= budget.passes


def test_an_ended_budget_says_what_was_searched_and_what_was_not() -> None:
    classifier = toy_classifier(backdoored=False)
    report = scan(classifier, clean_images(), budget=Budget(passes=20_000))
    assert report.verdict == "inconclusive"
    assert report.causes == ("budget",)
    assert report.passes <= 20_000
    searched = {item.family for item in report.evidence}
    wanted = {*families_for(classifier), BY_SOURCE, SHARED}
    facts = report.reasons[0].facts
    assert isinstance(facts, UnfinishedFacts)
    # The one in which the budget ended: half a search is no evidence.
    (cut,) = facts.cut_short
    assert cut not in searched
    assert set(facts.not_searched) == wanted - searched - {cut}
    assert facts.passes <= 20_000
    text = reason_texts(report)[0]
    assert f"the families {', '.join(facts.not_searched)} were not looked for" in text
    assert f"the searches of {cut} were cut short" in text


def test_a_budget_that_suffices_is_not_said_to_have_ended() -> None:
    spent = Meter(Budget(passes=10), passes=10)
    assert budget_reasons(spent, [], []) == ()
    for missing, partly, looked in ((["patch"], [], True), ([], ["blend"], True), ([], [], False)):
        (reason,) = budget_reasons(spent, missing, partly, looked_again=looked)
        assert reason.code == BUDGET_ENDED


def test_a_larger_budget_goes_on_to_the_same_report(tmp_path: Path, toy_report: ScanReport) -> None:
    """Ended before the first search, inside of one and between two; what was done is not done
    again, and counted once."""
    clean, journal = clean_images(), Journal(tmp_path)
    spent = []
    for passes in (100, 3_000, 9_000, 25_000, 1_000_000):
        classifier = toy_classifier(backdoored=True, norm=True)
        report = scan(classifier, clean, budget=Budget(passes=passes), journal=journal)
        spent.append(report.passes)
        assert (report.causes == ("budget",)) == (passes < 1_000_000)
        # The backdoor may have been seen before it ended.
        assert report.verdict in ("backdoored", "inconclusive")
        assert report.passes <= passes
    assert spent == sorted(spent)
    # The budget is among the circumstances.
    assert report.circumstances.max_passes == 1_000_000
    assert told(replace(report, circumstances=toy_report.circumstances)) == told(toy_report)


def test_seconds_may_be_given_alone() -> None:
    clean = clean_images()
    pair = (clean.images, clean.labels)
    report = scan(toy_classifier(backdoored=False), pair, max_seconds=1e-6)
    assert report.verdict == "inconclusive"
    assert "budget ended" in reason_texts(report)[0]


@pytest.mark.parametrize(
    "options", [{"max_seconds": 0}, {"max_seconds": 5, "budget": Budget(passes=1)}]
)
def test_a_budget_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UndoorError, match="max_seconds"):
        scan(toy_classifier(backdoored=False), clean_images(), **options)


@pytest.mark.usefixtures("arithmetic")
def test_what_would_have_been_found(toy_report: ScanReport) -> None:
    """Each family of sizes says how small a trigger must be: natural are larger, the planted is
    not; and all say how far a class must stand out."""
    sizes = {e.target: e.size for e in toy_report.evidence if e.family == "patch"}
    families = {*families_for(toy_classifier(backdoored=True)), BY_SOURCE, SHARED}
    assert set(toy_report.detectable) == families - set(OF_ONE_SIZE)
    assert set(toy_report.coverage.alarms) == families
    assert (sizes[TARGET] or 0) < toy_report.detectable["patch"]
    others = [size for target, size in sizes.items() if target != TARGET and size is not None]
    assert min(others) > toy_report.detectable["patch"]


# Doubt


def test_wrong_labels_are_not_called_clean() -> None:
    clean = clean_images()
    shuffled = replace(clean, labels=(clean.labels + 1) % CLASSES)
    report = scan(toy_classifier(backdoored=False), shuffled)
    assert report.verdict == "inconclusive"
    assert "0 % of the clean images" in reason_texts(report)[0]


def test_unconfirmed_suspect_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trigger that moves no class leaves a doubt: not a clean model, and no finding, since a
    repair needs to know whose images to correct."""
    monkeypatch.setattr(confirm, "find_sources", lambda *_, **__: ())
    report = scan(toy_classifier(backdoored=True), clean_images())
    assert report.verdict == "inconclusive"
    assert report.findings == ()
    assert any(f"class {TARGET}" in reason for reason in reason_texts(report))


# Input


def test_one_image_a_class() -> None:
    """Too little to accuse a model by, and the reason says so."""
    classifier = toy_classifier(backdoored=True)
    report = scan(classifier, clean_images(1))
    assert report.verdict == "inconclusive"
    assert report.findings == ()
    assert "too few" in reasons(report)[0]
    assert len(report.evidence) == (len(families_for(classifier)) + 1) * CLASSES + 1
    assert report.images == CLASSES


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: replace(c, images=c.images[:10], labels=c.labels[:10]), "at least 2 classes"),
        (lambda c: replace(c, images=c.images[:0], labels=c.labels[:0]), "empty"),
        (lambda c: replace(c, images=c.images[..., :6]), "shape"),
        (lambda c: replace(c, images=c.images * 255), "divide the images by 255"),
        (lambda c: replace(c, images=c.images * torch.nan), "NaN"),
        (lambda c: replace(c, labels=c.labels + 1), "no class of the model"),
    ],
)
def test_unusable_clean_sets(spoil: object, message: str) -> None:
    assert callable(spoil)
    with pytest.raises(UndoorError, match=message):
        scan(toy_classifier(backdoored=True), spoil(clean_images()))


def test_bytes_are_mapped_to_the_bounds() -> None:
    clean = clean_images()
    images = (255 * clean.images[:, 0]).round().to(torch.uint8)
    given = CleanSet.from_arrays(images, clean.labels)
    report = scan(toy_classifier(backdoored=False), given, accept_coverage="partial")
    assert report.verdict == "clean"
    assert report.findings == ()


@pytest.mark.usefixtures("arithmetic")
def test_feature_vectors() -> None:
    """A model on tables of numbers is scanned like any other."""
    torch.manual_seed(0)
    centres = torch.eye(5, 10)
    layer = nn.Linear(10, 5)
    with torch.no_grad():
        layer.weight.copy_(20 * centres)
        layer.bias.zero_()
        layer.weight[3, 9] = 200
    labels = torch.arange(5).repeat_interleave(8)
    x = (0.3 * centres[labels] + 0.02 * torch.rand(40, 10)).clamp(0, 1)
    x[:, 9] = 0
    report = scan(Classifier(layer, input_shape=(10,)), CleanSet(x, labels))
    assert len(report.evidence) == 3 * 5 + 1
    assert report.verdict in ("backdoored", "inconclusive")


def test_latent_doubts_about_feature_vectors() -> None:
    """A backdoor that only a latent shift shows, where there are no pixels to draw on."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Linear(10, 10), nn.ReLU()]
        with torch.no_grad():
            layers[-2].get_parameter("weight").copy_(torch.eye(10))
            layers[-2].get_parameter("bias").zero_()
    head = nn.Linear(10, 5)
    with torch.no_grad():
        head.weight.copy_(20 * torch.eye(5, 10))
        head.bias.zero_()
        head.weight[3, 9] = 2000
    labels = torch.arange(5).repeat_interleave(8)
    x = (0.3 * torch.eye(5, 10)[labels] + 0.02 * torch.rand(40, 10)).clamp(0, 1)
    x[:, 9] *= 0.05
    classifier = Classifier(nn.Sequential(*layers, head), input_shape=(10,))
    # Every class is in doubt.
    report = scan(classifier, CleanSet(x, labels), thresholds=Thresholds(alpha=0.4))
    assert report.verdict == "backdoored"


# Interruption


@pytest.mark.parametrize("after", [1, 450])
def test_interrupt_passes_through(after: int) -> None:
    """In the first search, and later."""
    count = 0

    def stop(*_: object) -> None:
        nonlocal count
        count += 1
        if count == after:
            raise KeyboardInterrupt

    classifier = toy_classifier(backdoored=True)
    before = snapshot(classifier)
    with pytest.raises(KeyboardInterrupt):
        scan(classifier, clean_images(), progress=stop)
    assert count == after
    assert_unchanged(classifier, before)
