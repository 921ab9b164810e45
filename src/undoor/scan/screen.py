"""The first look at every class: the smallest trigger that a little work finds in a family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from undoor.families.registry import BY_SOURCE, SHARED
from undoor.inversion.followed import each_smallest, followed, repeated, some
from undoor.inversion.invert import ALL, Candidate, Search, smallest
from undoor.inversion.patch_starts import try_squares
from undoor.inversion.schedules import (
    BESIDE_SQUARES,
    FAR,
    FEW_CLASSES,
    NEAR,
    SQUARES,
    SQUARES_FOR_ALL,
    first_effort,
)
from undoor.inversion.wave_starts import IMAGES, pulls, waves
from undoor.inversion.work import Work


def screen(work: Work, family: str, targets: Sequence[int] | None = None) -> tuple[Candidate, ...]:
    """A candidate for each class that is followed as a target, in class order: all of few, and of
    many the most promising and some drawn at random.

    targets : the classes to try; all where none are given.
    """
    tried = range(work.classifier.num_classes) if targets is None else sorted(targets)
    searches = [Search(target, work.images.pool(target)) for target in tried]
    if family == "patch" and len(work.classifier.input_shape) == 3:
        return _patches(work, searches)
    extra = _from_waves(work, searches) if family == "frequency" else []
    return followed(work, family, searches, extra)


def screen_sources(work: Work) -> tuple[Candidate, ...]:
    """The same for each class as a source that a patch makes leave, wherever it goes: a backdoor
    for a few sources alone, or one that sends each class elsewhere, has no target that all other
    classes reach."""
    images = work.images
    pools = {k: images.known_pool(k) for k in images.y.unique().tolist()}
    searches = [Search(k, pool, leave=images.y) for k, pool in pools.items() if len(pool)]
    return followed(work, BY_SOURCE, searches)


def screen_shared(work: Work) -> Candidate:
    """One patch that makes images of all classes leave their own."""
    effort = first_effort(SHARED)
    search = Search(ALL, work.images.known_pool(), leave=work.images.y)
    starts = [search] * effort.starts
    if len(work.classifier.input_shape) == 3:
        (tried,) = try_squares(work, [search], distance=NEAR, keep=SQUARES_FOR_ALL)
        starts += tried.starts
    return smallest(work.invert(starts, "patch", effort.schedule))[ALL]


def _patches(work: Work, searches: Sequence[Search]) -> tuple[Candidate, ...]:
    """Patches from the squares that pull most, and from noise, which finds scattered ones."""
    few = len(searches) <= FEW_CLASSES
    tried = try_squares(work, searches, distance=NEAR if few else FAR, keep=SQUARES)
    chosen = list(range(len(searches)))
    if not few:
        chosen = some(work, sorted(chosen, key=lambda i: -tried[i].pull))
    starts = [start for i in chosen for start in tried[i].starts]
    noise = repeated([searches[i] for i in chosen], BESIDE_SQUARES.starts)
    return each_smallest(work.invert([*starts, *noise], "patch", BESIDE_SQUARES.schedule))


def _from_waves(work: Work, searches: Sequence[Search]) -> list[Search]:
    """For each search, another from the wave that pulls most to its target."""
    images, classifier = work.images, work.classifier
    order = torch.randperm(len(images.estimate), generator=work.generator)
    drawn = images.estimate[order[:IMAGES]]
    probes = waves(classifier.input_shape, classifier.bounds)
    pull = pulls(classifier, images.x[drawn], images.y[drawn], probes)
    work.meter.spend(len(probes) * len(drawn) / 2)
    best = pull.argmax(0).tolist()
    return [replace(search, start=probes[best[search.target]]) for search in searches]
