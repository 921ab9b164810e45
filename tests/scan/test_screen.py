"""The first look at every class, as a target and as a source, and at all together."""

from __future__ import annotations

import pytest
import torch

from helpers.family_names import BY_SOURCE, SHARED
from helpers.scan_work import work_on
from helpers.tiny import (
    CLASSES,
    TARGET,
    clean_images,
    faint_images,
    relay_classifier,
    toy_classifier,
)
from undoor.inversion.candidates import ALL, Candidate
from undoor.inversion.followed import DRAWN, FEW_CLASSES, PROMISING
from undoor.inversion.work import Work
from undoor.scan.screen import screen, screen_shared, screen_sources

MANY = 20
NEXT = {label: (label + 1) % CLASSES for label in range(CLASSES)}


def toy_work(classes: int = CLASSES, seed: int = 0, backdoored: bool = True) -> Work:
    classifier = toy_classifier(backdoored=backdoored, classes=classes)
    return work_on(classifier, clean_images(6, classes=classes), seed=seed)


def size(candidate: Candidate) -> float:
    return float("inf") if candidate.size is None else candidate.size


# Few classes


@pytest.mark.parametrize("family", ["patch", "additive", "frequency"])
def test_all_of_few_are_followed(family: str) -> None:
    found = screen(toy_work(), family)
    assert [candidate.target for candidate in found] == list(range(CLASSES))
    assert {candidate.family for candidate in found} == {family}
    others = [size(candidate) for candidate in found if candidate.target != TARGET]
    assert size(found[TARGET]) < 0.4 * min(others)


def test_targets_are_reached_from_all_other_classes() -> None:
    """Unlike those of one source alone: there a faint chessboard would do."""
    work = work_on(relay_classifier({3: 1}), faint_images())
    assert min(size(candidate) for candidate in screen(work, "patch")) > 5


# Many classes


def check_followed(found: tuple[Candidate, ...], planted: set[int]) -> None:
    """Each once and in order, not all, and one that is planted as the smallest by far."""
    followed = [candidate.target for candidate in found]
    assert followed == sorted(set(followed))
    assert max(PROMISING, DRAWN) <= len(followed) <= PROMISING + DRAWN < MANY
    smallest = min(found, key=size)
    assert smallest.target in planted
    assert size(smallest) < 0.4 * min(size(c) for c in found if c.target not in planted)


@pytest.mark.parametrize("family", ["patch", "frequency"])
@pytest.mark.parametrize("seed", [0, 1])
def test_some_of_many_are_followed(family: str, seed: int) -> None:
    check_followed(screen(toy_work(MANY, seed), family), {TARGET})


@pytest.mark.usefixtures("arithmetic")
def test_some_of_many_sources_are_followed() -> None:
    """One source alone may be missed; a few are not."""
    sources = set(range(3, 8))
    classifier = relay_classifier(dict.fromkeys(sources, 1), classes=MANY)
    check_followed(
        screen_sources(work_on(classifier, faint_images(6, classes=MANY)), BY_SOURCE), sources
    )


def test_chance_decides_whom_the_promising_are_compared_with() -> None:
    """Drawn anew with each scan; every class gets its turn."""
    followed = [
        {candidate.target for candidate in screen(toy_work(MANY, seed), "blend")}
        for seed in range(4)
    ]
    assert len({frozenset(classes) for classes in followed}) > 1
    assert len(set().union(*followed)) == MANY


def test_the_drawn_are_others_than_the_promising() -> None:
    assert len(screen(toy_work(MANY), "blend")) == PROMISING + DRAWN


def test_passes_grow_slower_than_classes() -> None:
    spent = {}
    for classes in (FEW_CLASSES, MANY, 2 * MANY):
        work = toy_work(classes, backdoored=False)
        screen(work, "patch")
        spent[classes] = work.run.meter.passes
    assert spent[2 * MANY] < 1.8 * spent[MANY]
    # Many classes together cost no more than as many of the few would.
    assert spent[MANY] / MANY < spent[FEW_CLASSES] / FEW_CLASSES


# Sources


@pytest.mark.usefixtures("arithmetic")
def test_the_sources_of_a_backdoor_leave_easily() -> None:
    work = work_on(relay_classifier({0: 5, 3: 5}), faint_images())
    found = screen_sources(work, BY_SOURCE)
    assert [candidate.target for candidate in found] == list(range(CLASSES))
    assert {candidate.family for candidate in found} == {"patch"}
    sizes = [size(candidate) for candidate in found]
    assert max(sizes[0], sizes[3]) < 0.2 * min(sizes[k] for k in (1, 2, 4, 5))
    fresh = faint_images(seed=9)
    x = fresh.images[fresh.labels == 3]
    moved = work.classifier.predict(found[3].trigger(x)) != 3
    assert float(moved.float().mean()) > 0.5


@pytest.mark.usefixtures("arithmetic")
def test_every_source_of_a_clean_model_needs_a_large_patch() -> None:
    found = screen_sources(work_on(relay_classifier({}), faint_images()), BY_SOURCE)
    assert min(size(candidate) for candidate in found) > 5


# All together


@pytest.mark.usefixtures("arithmetic")
def test_one_patch_for_all() -> None:
    """Small where each class is sent elsewhere, and then no target is reached by it from all."""
    work = work_on(relay_classifier(NEXT), faint_images())
    found = screen_shared(work, SHARED)
    assert (found.target, found.family) == (ALL, "patch")
    fresh = faint_images(seed=9)
    moved = work.classifier.predict(found.trigger(fresh.images)) != fresh.labels
    assert float(moved.float().mean()) > 0.5
    natural = screen_shared(work_on(relay_classifier({}), faint_images()), SHARED)
    assert size(found) < 0.1 * size(natural)


def test_looks_are_counted_and_seeded() -> None:
    sizes = []
    for seed in (1, 1, 2):
        work = toy_work(seed=seed)
        torch.manual_seed(seed)
        sizes.append([candidate.size for candidate in screen(work, "additive")])
        assert work.run.meter.passes > CLASSES * 4
    assert sizes[0] == sizes[1] != sizes[2]
