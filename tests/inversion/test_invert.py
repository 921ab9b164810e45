"""Reverse-engineering triggers."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.family_names import FOR_VECTORS, INPUT_FAMILIES
from helpers.tiny import (
    BOUNDS,
    CHESSBOARD,
    CLASSES,
    TARGET,
    Views,
    assert_unchanged,
    clean_images,
    faint_images,
    relay_classifier,
    snapshot,
    toy_classifier,
)
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import ALL, Candidate, Search, smallest
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.invert import invert
from undoor.inversion.triggered import triggered
from undoor.passes import Capacity
from undoor.triggers import Stamp

FAMILIES = sorted(INPUT_FAMILIES)
SHORT = Schedule(steps=60, batch=8)


def search(
    classifier: Classifier,
    targets: list[int],
    *,
    family: str = "patch",
    schedule: Schedule = SHORT,
    seed: int = 0,
) -> tuple[Candidate, ...]:
    clean = clean_images()
    searches = [Search(t, (clean.labels != t).nonzero()[:, 0]) for t in targets]
    return invert(
        classifier,
        clean.images,
        searches,
        family=family,
        schedule=schedule,
        generator=torch.Generator().manual_seed(seed),
    )


# No change of tone makes one bar another.
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "tone"])
@pytest.mark.usefixtures("arithmetic")
def test_candidates_work_and_say_how_large_they_are(family: str) -> None:
    classifier = toy_classifier(backdoored=True)
    before = snapshot(classifier)
    images = clean_images(seed=3)
    targets = [TARGET, 5, 0]
    candidates = search(classifier, targets, family=family, schedule=Schedule(steps=200))
    assert [c.target for c in candidates] == targets
    assert {c.family for c in candidates} == {family}
    for candidate in candidates:
        x = images.images[images.labels != candidate.target]
        moved = classifier.predict(candidate.trigger(x)) == candidate.target
        assert moved.float().mean() > (0.4 if family in FOR_VECTORS else 0.3)
    assert_unchanged(classifier, before)


@pytest.mark.usefixtures("arithmetic")
def test_finds_the_planted_trigger() -> None:
    """Small, in its corner, and the chessboard that was planted."""
    classifier = toy_classifier(backdoored=True)
    planted, natural = search(classifier, [TARGET, 0], schedule=Schedule(steps=300))
    assert planted.size is not None
    assert natural.size is not None
    assert planted.size < 3
    assert natural.size > 10
    assert isinstance(planted.trigger, Stamp)
    mask, pattern = planted.trigger.mask[0], planted.trigger.pattern[0]
    assert mask[:2, :2].sum() > 0.7 * mask.sum()
    stamped = (mask * (pattern - 0.5))[:2, :2]
    assert bool((stamped * CHESSBOARD > 0).all())


@pytest.mark.usefixtures("arithmetic")
def test_nothing_works() -> None:
    """A class that the network never answers has no trigger, and is told so."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        network.get_parameter("1.weight").zero_()
        network.get_parameter("1.bias").copy_(torch.tensor([5.0, 0.0, 0.0]))
    classifier = Classifier(network, input_shape=(1, 8, 8))
    always, never = search(classifier, [0, 1])
    assert never.size is None
    assert always.size is not None
    assert isinstance(never.trigger, Stamp)
    assert bool(torch.isfinite(never.trigger.pattern).all())


@pytest.mark.usefixtures("arithmetic")
def test_is_seeded() -> None:
    classifier = toy_classifier(backdoored=True)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, two, other = (search(classifier, [0, 1], seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    for a, b, c in zip(one, two, other, strict=True):
        assert a.size == b.size
        assert isinstance(a.trigger, Stamp)
        assert isinstance(b.trigger, Stamp)
        assert isinstance(c.trigger, Stamp)
        assert torch.equal(a.trigger.mask, b.trigger.mask)
        assert torch.equal(a.trigger.pattern, b.trigger.pattern)
        assert not torch.equal(a.trigger.pattern, c.trigger.pattern)


def test_uses_the_given_images_alone() -> None:
    """NaN in an image outside the pool would spoil everything."""
    clean = clean_images()
    pool = (clean.labels == 1).nonzero()[:3, 0]
    images = torch.full_like(clean.images, torch.nan)
    images[pool] = clean.images[pool]
    (candidate,) = invert(
        toy_classifier(backdoored=True),
        images,
        [Search(TARGET, pool)],
        family="patch",
        schedule=SHORT,
        generator=torch.Generator().manual_seed(0),
    )
    assert candidate.size is not None
    assert isinstance(candidate.trigger, Stamp)
    assert bool(torch.isfinite(candidate.trigger.pattern).all())


def test_the_most_promising_starts_go_on_alone() -> None:
    """After the trial, as many as are to be kept of each target, and no worse than without it."""
    classifier = toy_classifier(backdoored=True)
    targets = [TARGET] * 4 + [0] * 3 + [5]
    kept = search(classifier, targets, schedule=Schedule(steps=200, trial=60, keep=2))
    assert [c.target for c in kept] == [TARGET] * 2 + [0] * 2 + [5]
    everything = search(classifier, targets, schedule=Schedule(steps=200))

    def smallest(candidates: tuple[Candidate, ...], target: int) -> float:
        return min(c.size for c in candidates if c.target == target and c.size is not None)

    for target in set(targets):
        assert smallest(kept, target) < 1.5 * smallest(everything, target)


def test_the_best_are_remembered_through_the_trial() -> None:
    """A trial at the last step changes nothing but the number of candidates."""
    classifier = toy_classifier(backdoored=True)
    whole = search(classifier, [TARGET, 0, TARGET], schedule=Schedule(steps=80))
    kept = search(classifier, [TARGET, 0, TARGET], schedule=Schedule(steps=80, trial=79))
    by_size = sorted(whole, key=lambda c: (c.target, c.size or 1e9))
    assert {c.target: c.size for c in kept} == pytest.approx(
        {c.target: c.size for c in reversed(by_size)}, rel=0.05
    )


@pytest.mark.usefixtures("arithmetic")
def test_a_start_is_made_smaller() -> None:
    """From the planted trigger, a search too short to find it from noise keeps it."""
    clean = clean_images()
    pool = (clean.labels != TARGET).nonzero()[:, 0]
    mask, pattern = torch.full((1, 8, 8), 0.02), torch.full((1, 8, 8), 0.5)
    mask[:, :2, :2], pattern[:, :2, :2] = 1, (CHESSBOARD + 1) / 2
    start = Stamp("patch", mask, pattern, "replace", BOUNDS)
    warm, cold = invert(
        toy_classifier(backdoored=True),
        clean.images,
        [Search(TARGET, pool, start), Search(TARGET, pool)],
        family="patch",
        schedule=Schedule(steps=40, batch=8),
        generator=torch.Generator().manual_seed(0),
    )
    assert warm.size is not None
    assert warm.size < float(mask.sum())
    assert cold.size is None or warm.size < cold.size


# Leaving


LONG = Schedule(steps=120, batch=4, weight=0.02)


def leave(
    classifier: Classifier, sources: list[int], *, schedule: Schedule = LONG, seed: int = 0
) -> tuple[Candidate, ...]:
    """Patches that make images of a class, or of `ALL`, leave it."""
    clean = faint_images()
    pools = [(clean.labels == k if k != ALL else clean.labels >= 0) for k in sources]
    searches = [
        Search(k, pool.nonzero()[:, 0], leave=clean.labels)
        for k, pool in zip(sources, pools, strict=True)
    ]
    return invert(
        classifier,
        clean.images,
        searches,
        family="patch",
        schedule=schedule,
        generator=torch.Generator().manual_seed(seed),
    )


def left(classifier: Classifier, candidate: Candidate) -> float:
    """Share of other images that are answered another class than their own."""
    fresh = faint_images(seed=3)
    rows = fresh.labels == candidate.target if candidate.target != ALL else fresh.labels >= 0
    answers = classifier.predict(candidate.trigger(fresh.images[rows]))
    return float((answers != fresh.labels[rows]).float().mean())


@pytest.mark.usefixtures("arithmetic")
def test_images_leave_their_class() -> None:
    """Wherever they go: by little where that is planted, by much elsewhere."""
    classifier = relay_classifier({0: 5, 3: 1})
    best = smallest(leave(classifier, [k for k in (0, 3, 4) for _ in range(4)]))
    assert set(best) == {0, 3, 4}
    sizes = {k: candidate.size or 99 for k, candidate in best.items()}
    assert max(sizes[0], sizes[3]) < 1
    assert sizes[4] > 5
    # To wherever: one source ends in another class than the other.
    assert min(left(classifier, best[k]) for k in (0, 3)) > 0.6


@pytest.mark.usefixtures("arithmetic")
def test_images_of_all_leave_their_own() -> None:
    """Each its own: that all are answered one class is not enough."""
    classifier = relay_classifier({k: (k + 1) % CLASSES for k in range(CLASSES)})
    (best,) = smallest(leave(classifier, [ALL] * 4)).values()
    assert best.target == ALL
    assert (best.size or 99) < 1
    assert left(classifier, best) > 0.7


@pytest.mark.usefixtures("arithmetic")
def test_who_never_leaves_has_no_trigger() -> None:
    """And who has left already has no need of one."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
    with torch.no_grad():
        network.get_parameter("1.weight").zero_()
        network.get_parameter("1.bias").copy_(torch.tensor([5.0] + [0.0] * (CLASSES - 1)))
    classifier = Classifier(network, input_shape=(1, 8, 8))
    stays, away = leave(classifier, [0, 1], schedule=SHORT)
    assert stays.size is None
    assert away.size is not None


@pytest.mark.usefixtures("arithmetic")
def test_leaving_and_reaching_in_one_batch() -> None:
    """Searches of both kinds share the passes, and each has its own aim."""
    classifier, clean = relay_classifier({0: 5}), faint_images()
    own = (clean.labels == 0).nonzero()[:, 0]
    mask = torch.zeros(1, 8, 8)
    mask[:, :2, :2] = 0.9
    pattern = torch.full((1, 8, 8), 0.5)
    pattern[:, :2, :2] = (CHESSBOARD + 1) / 2
    start = Stamp("patch", mask, pattern, "replace", BOUNDS)
    found = invert(
        classifier,
        clean.images,
        [
            Search(0, own, start, leave=clean.labels),
            Search(5, own, start),
            Search(4, own, start),
        ],
        family="patch",
        schedule=Schedule(steps=30, batch=4, weight=0.02),
        generator=torch.Generator().manual_seed(0),
    )
    assert [candidate.target for candidate in found] == [0, 5, 4]
    leaves, reaches, misses = (candidate.size for candidate in found)
    assert leaves is not None
    assert reaches is not None
    assert misses is None


def test_the_best_of_all_and_of_targets() -> None:
    """Those that never worked come last; the pseudo-target is a target like any other."""
    trigger = search(toy_classifier(backdoored=True), [0], schedule=Schedule(steps=1))[0].trigger
    sizes = [(ALL, None), (2, 3.0), (ALL, 7.0), (2, 2.0), (5, None)]
    best = smallest([Candidate(target, "patch", size, trigger) for target, size in sizes])
    assert {target: candidate.size for target, candidate in best.items()} == {
        2: 2.0,
        ALL: 7.0,
        5: None,
    }
    assert list(best)[-1] == 5


def test_of_those_that_never_worked_the_nearest_is_best() -> None:
    trigger = search(toy_classifier(backdoored=True), [0], schedule=Schedule(steps=1))[0].trigger
    shares = [(0, None, 0.2), (0, None, 0.6), (1, None, 0.7), (2, 9.0, 0.1), (2, 8.0, 0.0)]
    found = [Candidate(target, "patch", size, trigger, asr) for target, size, asr in shares]
    best = smallest(found)
    assert [(t, c.size, c.asr) for t, c in best.items()] == [
        (2, 8.0, 0.0),
        (1, None, 0.7),
        (0, None, 0.6),
    ]


@pytest.mark.usefixtures("arithmetic")
def test_how_near_a_search_came() -> None:
    """The share of images that the candidate moved, whether it worked or not."""
    classifier = toy_classifier(backdoored=True)
    works, fails = search(classifier, [TARGET, 0], schedule=Schedule(steps=60, success=2))
    assert works.size is None
    assert 0 <= fails.asr < works.asr <= 1
    assert works.asr > 0.8


# Own directions


def with_own(
    family: str, *, own: bool, moves: dict[int, int] | None = None, target: int = TARGET
) -> Candidate:
    classifier, clean = relay_classifier(moves or {}), faint_images()
    given = ClassDirections.of(classifier, clean.images, clean.labels) if own else None
    assert given or not own
    pool = (clean.labels != target).nonzero()[:, 0]
    (candidate,) = invert(
        classifier,
        clean.images,
        [Search(target, pool)],
        family=family,
        schedule=Schedule(steps=80, batch=4, weight=0.1),
        generator=torch.Generator().manual_seed(0),
        class_directions=given,
    )
    return candidate


@pytest.mark.parametrize("family", ["patch", "additive", "blend"])
def test_families_that_ask_for_no_bar_get_none(family: str) -> None:
    free, barred = (with_own(family, own=own) for own in (False, True))
    assert free.size == barred.size is not None


@pytest.mark.parametrize("family", ["latent late", "generator"])
def test_the_way_of_the_target_is_barred(family: str) -> None:
    """What reaches a class by looking like it fails."""
    free, barred = (with_own(family, own=own) for own in (False, True))
    assert free.size is not None
    assert barred.size is None or barred.size > 1.5 * free.size


@pytest.mark.usefixtures("arithmetic")
def test_the_way_of_a_backdoor_is_not() -> None:
    """And its trigger works on the network as it is, without the bar."""
    moves = {k: TARGET for k in range(CLASSES) if k != TARGET}
    free, barred = (with_own("latent middle", own=own, moves=moves) for own in (False, True))
    assert free.size is not None
    assert barred.size == pytest.approx(free.size, rel=0.5)
    fresh = faint_images(seed=3)
    x = fresh.images[fresh.labels != TARGET]
    answers = triggered(relay_classifier(moves), barred.trigger).predict(x)
    assert float((answers == TARGET).float().mean()) > 0.6


@pytest.mark.usefixtures("arithmetic")
def test_the_bar_stays_through_the_trial() -> None:
    """Candidates that go on alone find it before them as well."""
    classifier, clean = relay_classifier({}), faint_images()
    pool = (clean.labels != TARGET).nonzero()[:, 0]
    found = invert(
        classifier,
        clean.images,
        [Search(TARGET, pool)] * 3,
        family="latent late",
        schedule=Schedule(steps=80, batch=4, weight=0.1, trial=10, keep=1),
        generator=torch.Generator().manual_seed(0),
        class_directions=ClassDirections.of(classifier, clean.images, clean.labels),
    )
    assert [candidate.size for candidate in found] == [None]


# Trouble


class Cliff(nn.Module):
    """Finite on ordinary images, NaN as soon as their mean leaves the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        edge = (0.2 - (flat.mean(1, keepdim=True) - 0.5).abs()).sqrt()
        return self.layer(flat) * edge


def test_non_finite_loss_is_an_error() -> None:
    classifier = Classifier(Cliff(), input_shape=(1, 8, 8))
    images = torch.ones(4, 1, 8, 8)
    with pytest.raises(UndoorError, match="the loss became nan while inverting additive"):
        invert(
            classifier,
            images,
            [Search(0, torch.arange(4))],
            family="additive",
            schedule=SHORT,
            generator=torch.Generator().manual_seed(0),
        )


@settings(max_examples=15)
@given(steps=st.integers(1, 30), patience=st.integers(1, 5))
def test_progress_rises_to_its_total(steps: int, patience: int) -> None:
    calls: list[tuple[str, int, int]] = []
    clean = clean_images(2)
    invert(
        toy_classifier(backdoored=False),
        clean.images,
        [Search(0, torch.arange(2, 12))],
        family="patch",
        schedule=Schedule(steps=steps, batch=2, patience=patience),
        generator=torch.Generator().manual_seed(0),
        progress=lambda *call: calls.append(call),
    )
    done = [call[1] for call in calls]
    assert {call[2] for call in calls} == {steps}
    assert {call[0] for call in calls} == {"inverting patch triggers"}
    assert done == sorted(done)
    assert done[-1] == steps


def test_stops_when_nothing_shrinks() -> None:
    calls: list[int] = []
    clean = clean_images(2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
    with torch.no_grad():
        network.get_parameter("1.weight").zero_()
        network.get_parameter("1.bias").copy_(torch.tensor([5.0] + [0.0] * (CLASSES - 1)))
    invert(
        Classifier(network, input_shape=(1, 8, 8)),
        clean.images,
        [Search(0, torch.arange(2, 12))],
        family="additive",
        schedule=Schedule(steps=500, batch=2, weight=0.0, patience=10),
        generator=torch.Generator().manual_seed(0),
        progress=lambda _stage, done, _total: calls.append(done),
    )
    assert len(calls) < 400
    assert calls[-1] == 500


def test_progress_may_end_the_work() -> None:
    def stop(_stage: str, done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    clean = clean_images(2)
    with pytest.raises(KeyboardInterrupt):
        invert(
            toy_classifier(backdoored=False),
            clean.images,
            [Search(0, torch.arange(12))],
            family="patch",
            schedule=SHORT,
            generator=torch.Generator().manual_seed(0),
            progress=stop,
        )


@pytest.mark.parametrize("family", [*sorted(INPUT_FAMILIES), "latent middle"])
def test_memory_for_a_few_at_a_time_changes_nothing_but_rounding(
    family: str, arithmetic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of the candidates, and parts of their images, add up to the whole."""
    # Adam divides a gradient by its own size, so that one of nothing but rounding moves a pixel as
    # far as any other: what is compared here must not hang on it.
    adam = functools.partial(torch.optim.Adam, eps=1e-3)
    monkeypatch.setattr(torch.optim, "Adam", adam)
    classifier = relay_classifier({0: 5}) if "latent" in family else toy_classifier(backdoored=True)
    clean = clean_images()
    schedule = Schedule(steps=4, batch=6, trial=2, keep=1, success=0.3)
    searches = [Search(t, (clean.labels != t).nonzero()[:, 0]) for t in (0, 1, 1, 2, 3)]

    def found(capacity: Capacity | None) -> tuple[Candidate, ...]:
        return invert(
            classifier.limited(capacity),
            clean.images,
            searches,
            family=family,
            schedule=schedule,
            generator=torch.Generator().manual_seed(0),
            class_directions=ClassDirections.of(classifier, clean.images, clean.labels),
        )

    whole = found(None)
    # Rounding to bfloat16 inside a generator or a network is no small change.
    inside = family == "generator" or family not in INPUT_FAMILIES
    tolerance = 0.1 if arithmetic == "bfloat16" and inside else 1e-4
    for at_once in (1, 4, 13):
        for one, other in zip(whole, found(Capacity(at_once, at_once)), strict=True):
            assert one.target == other.target
            assert one.asr == pytest.approx(other.asr, abs=1e-5)
            assert (one.size is None) == (other.size is None)
            assert one.size is None or one.size == pytest.approx(other.size, rel=2e-2)
            arrays = other.trigger.named_arrays()
            for name, array in one.trigger.named_arrays().items():
                if array.dtype.kind == "f":
                    np.testing.assert_allclose(array, arrays[name], rtol=0, atol=tolerance)


def test_no_more_at_a_time_than_memory_takes() -> None:
    seen: list[int] = []

    class Watched(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return self.network(x)

    classifier = toy_classifier(backdoored=True)
    classifier.network = Watched(classifier.network)
    clean = clean_images()
    classifier = classifier.limited(Capacity(7, 11))
    search(classifier, [0, 1, 2], schedule=Schedule(steps=2, batch=8))
    assert max(seen) == 7
    seen.clear()
    classifier.predict(clean.images)
    logits = classifier.logits(clean.images)
    assert max(seen) == 11
    torch.testing.assert_close(logits, classifier(clean.images))


@pytest.mark.parametrize("family", ["patch", "latent late"])
def test_networks_that_take_views_are_searched(family: str) -> None:
    """At the input and inside; they ended in a traceback."""
    torch.manual_seed(0)
    classifier = Classifier(Views(), input_shape=(3, 6, 6)).fast_copy()
    generator = torch.Generator().manual_seed(0)
    (found,) = invert(
        classifier,
        torch.rand(12, 3, 6, 6),
        [Search(0, torch.arange(12))],
        family=family,
        schedule=Schedule(steps=3),
        generator=generator,
    )
    assert found.target == 0
