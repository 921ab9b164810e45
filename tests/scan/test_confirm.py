"""The last look at suspects: triggers that work, whom they move and where to."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from helpers.scan_work import work_on
from helpers.tiny import (
    BOUNDS,
    CLASSES,
    SIDE,
    TARGET,
    clean_images,
    faint_images,
    relay_classifier,
    toy_classifier,
    true_trigger,
)
from undoor.families.generator import GENERATOR
from undoor.inversion.candidates import ALL, Candidate
from undoor.inversion.work import Work
from undoor.scan.confirm import (
    Confirmed,
    confirm,
    confirm_shared,
    drawn,
    ends_of_shared,
    ends_of_sources,
)
from undoor.triggers import Stamp, Trigger

NEXT = {label: (label + 1) % CLASSES for label in range(CLASSES)}
OTHERS = tuple(label for label in range(CLASSES) if label != TARGET)


def relay_work(moves: dict[int, int]) -> Work:
    return work_on(relay_classifier(moves), faint_images())


def planted(target: int, *, size: float | None = 4.0) -> Candidate:
    return Candidate(target, "patch", size, replace(true_trigger(), family="patch"))


def idle() -> Trigger:
    """A patch of no pixels."""
    nothing = torch.zeros(1, SIDE, SIDE)
    return Stamp("patch", nothing, nothing, "replace", BOUNDS)


def weak() -> Trigger:
    """The chessboard where it is still too faint to work on all images."""
    trigger = true_trigger()
    return replace(trigger, family="patch", mask=0.2 * trigger.mask)


def moved(work: Work, confirmed: Confirmed, target: int) -> float:
    """Share of 50 fresh images of each source that move to the target."""
    fresh = faint_images(50, seed=9)
    x = fresh.images[torch.isin(fresh.labels, torch.tensor(confirmed.sources))]
    answers = work.classifier.predict(confirmed.candidate.trigger(x))
    return float((answers == target).float().mean())


# One target


@pytest.mark.usefixtures("arithmetic")
def test_confirmed_by_held_out_images() -> None:
    work = relay_work({0: 5, 3: 5})
    confirmed = confirm(work, planted(5), 5)
    assert confirmed.sources == (0, 3)
    # Nearly all images move: of the three held-out ones of a class, one may stay.
    assert confirmed.asr > 0.6
    assert moved(work, confirmed, 5) >= 0.9
    assert (confirmed.candidate.target, confirmed.candidate.family) == (5, "patch")
    assert confirmed.candidate.size is not None
    assert confirmed.candidate.size < 4
    assert work.run.meter.passes > 0


@pytest.mark.usefixtures("arithmetic")
def test_a_weak_estimate_is_grown() -> None:
    """Until it works on nearly all images of its sources."""
    work = work_on(toy_classifier(backdoored=True), clean_images())
    images, labels = work.images.x, work.images.y
    before = work.classifier.predict(weak()(images))[labels != TARGET] == TARGET
    assert 0.2 <= float(before.float().mean()) < 0.6
    confirmed = confirm(work, Candidate(TARGET, "patch", 0.9, weak()), TARGET)
    assert confirmed.sources == OTHERS
    assert confirmed.asr > 0.7


@pytest.mark.usefixtures("arithmetic")
def test_what_moves_nothing_is_not_confirmed() -> None:
    """No trigger of the family moves images of others to a class that is never answered."""
    classifier = toy_classifier(backdoored=False)
    with torch.no_grad():
        classifier.get_parameter("network.3.bias")[1] = -1e4
    confirmed = confirm(work_on(classifier, clean_images()), planted(1), 1)
    assert (confirmed.sources, confirmed.asr) == ((), 0)


# Where images of sources go


def test_where_sources_go() -> None:
    work = relay_work({0: 5, 3: 1})
    found = ends_of_sources(work, [planted(k) for k in (0, 3, 4)])
    assert found == [(5,), (1,), ()]
    assert work.run.meter.passes == pytest.approx(3 * 10 / 2)


def test_most_go_where_one_image_in_two_goes() -> None:
    """Of the images that leave, not of those that stay."""
    work = work_on(toy_classifier(backdoored=True), clean_images())
    assert ends_of_sources(work, [Candidate(0, "patch", 0.9, weak())]) == [(TARGET,)]


# One patch for all


@pytest.mark.parametrize(
    ("moves", "ends", "number"),
    [
        (NEXT, (0, 1, 2, 3, 4, 5), 6),
        ({0: 5, 3: 1}, (1, 5), 2),
        (dict.fromkeys(OTHERS, TARGET), (TARGET,), 1),
        ({}, (), 1),
    ],
)
def test_where_all_go(moves: dict[int, int], ends: tuple[int, ...], number: int) -> None:
    """The size is a class where images end."""
    given = planted(ALL)
    candidate, found = ends_of_shared(relay_work(moves), given)
    assert found == ends
    assert candidate.size == pytest.approx(4 / number)
    assert candidate.trigger is given.trigger


def test_uneven_ends_count_less() -> None:
    """Three classes go to one and one to another: more than one, fewer than two."""
    candidate, ends = ends_of_shared(relay_work({0: 5, 1: 5, 2: 5, 3: 1}), planted(ALL))
    assert ends == (1, 5)
    assert candidate.size is not None
    assert 4 / 1.9 < candidate.size < 4 / 1.5


def test_a_shared_patch_that_never_worked_has_no_size() -> None:
    candidate, _ = ends_of_shared(relay_work({}), planted(ALL, size=None))
    assert candidate.size is None


@pytest.mark.usefixtures("arithmetic")
def test_every_target_of_a_shared_patch_has_its_sources() -> None:
    work = relay_work(NEXT)
    confirmed = confirm_shared(work, planted(ALL), tuple(range(CLASSES)))
    assert {t: item.sources for t, item in confirmed.items()} == {
        target: (source,) for source, target in NEXT.items()
    }
    assert all(item.asr > 0.6 for item in confirmed.values())
    shares = [moved(work, item, target) for target, item in confirmed.items()]
    assert min(shares) >= 0.7
    assert sum(shares) >= 0.9 * CLASSES
    assert len({id(item.candidate.trigger) for item in confirmed.values()}) == 1


@pytest.mark.parametrize("seed", [0, 3, 5])
@pytest.mark.usefixtures("arithmetic")
def test_a_shared_patch_is_confirmed_for_the_targets_alone_that_it_moves_to(seed: int) -> None:
    """It stays the patch that it was: classes that it never moved do not make another of it."""
    work = work_on(relay_classifier({0: 5, 3: 5}), faint_images(), seed=seed)
    confirmed = confirm_shared(work, planted(ALL), (5, 2))
    assert set(confirmed) == {5, 2}
    assert confirmed[5].sources == (0, 3)
    assert (confirmed[2].sources, confirmed[2].asr) == ((), 0)
    assert (confirmed[5].candidate.size or 99) < 1


# Drawn instead of latent


@pytest.mark.usefixtures("arithmetic")
def test_a_generator_says_what_a_latent_shift_says() -> None:
    work = work_on(toy_classifier(backdoored=True), clean_images())
    candidate = drawn(work, TARGET, GENERATOR)
    assert candidate is not None
    assert (candidate.target, candidate.family) == (TARGET, "generator")
    fresh = clean_images(seed=9)
    x = fresh.images[fresh.labels != TARGET]
    moved = work.classifier.predict(candidate.trigger(x)) == TARGET
    assert float(moved.float().mean()) > 0.4


@pytest.mark.parametrize(("backdoored", "target"), [(True, 0), (False, TARGET)])
def test_no_generator_draws_for_a_clean_class(backdoored: bool, target: int) -> None:
    work = work_on(toy_classifier(backdoored=backdoored), clean_images())
    assert drawn(work, target, GENERATOR) is None


@pytest.mark.usefixtures("arithmetic")
def test_a_generator_must_be_faint() -> None:
    work = work_on(toy_classifier(backdoored=True), clean_images())
    assert drawn(work, TARGET, replace(GENERATOR, faint=0.5)) is None
