"""Reverse-engineering triggers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import (
    BOUNDS,
    CHESSBOARD,
    CLASSES,
    TARGET,
    assert_unchanged,
    clean_images,
    snapshot,
    toy_classifier,
)
from torch import Tensor, nn

from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.scan.families import FOR_VECTORS, INPUT_FAMILIES
from undoor.scan.invert import Candidate, Schedule, Search, invert
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
        assert moved.float().mean() > (0.6 if family in FOR_VECTORS else 0.3)
    assert_unchanged(classifier, before)


def test_finds_the_planted_trigger() -> None:
    """Small, in its corner, and the chessboard that was planted."""
    classifier = toy_classifier(backdoored=True)
    planted, natural = search(classifier, [TARGET, 0], schedule=Schedule(steps=300))
    assert planted.size is not None
    assert natural.size is not None
    assert planted.size < 3
    assert natural.size > 10
    mask, pattern = planted.trigger.mask[0], planted.trigger.pattern[0]
    assert mask[:2, :2].sum() > 0.7 * mask.sum()
    stamped = (mask * (pattern - 0.5))[:2, :2]
    assert bool((stamped * CHESSBOARD > 0).all())


def test_nothing_works() -> None:
    """A class that the network never answers has no trigger, and is told so."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_(torch.tensor([5.0, 0.0, 0.0]))
    classifier = Classifier(network, input_shape=(1, 8, 8))
    always, never = search(classifier, [0, 1])
    assert never.size is None
    assert always.size is not None
    assert bool(torch.isfinite(never.trigger.pattern).all())


def test_is_seeded() -> None:
    classifier = toy_classifier(backdoored=True)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, two, other = (search(classifier, [0, 1], seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    for a, b, c in zip(one, two, other, strict=True):
        assert a.size == b.size
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
        network[1].weight.zero_()
        network[1].bias.copy_(torch.tensor([5.0] + [0.0] * (CLASSES - 1)))
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
