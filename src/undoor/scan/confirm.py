"""The last look at a suspect: a trigger that works, the classes it moves, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from undoor.device import indices
from undoor.families.family import Family
from undoor.families.registry import family_named
from undoor.inversion.candidates import ALL, Candidate, Search
from undoor.inversion.trigger_effects import SOURCE_ASR, find_left, find_sources, flow, held_out_asr
from undoor.inversion.triggered import triggered
from undoor.inversion.work import Work

# A class of which an estimate moves a fifth may still turn out to be a source.
PERHAPS_SOURCE_ASR = 0.2


@dataclass(frozen=True, eq=False)
class Confirmed:
    """A suspect's trigger and what it does, measured in float32.

    Attributes
    ----------
    candidate
        The trigger.
    sources
        The classes whose images it moves.
    asr
        The share of their held-out images that it moves, in [0, 1].
    outcome
        As of `undoor.scan.reason.ClassFacts`.
    """

    candidate: Candidate
    sources: tuple[int, ...]
    asr: float
    outcome: tuple[float, float] | None = None


def confirm(work: Work, candidate: Candidate, target: int) -> Confirmed:
    """Grow a trigger until it works on nearly all images of the classes that it may move.

    A trigger that was made as small as possible works on some images only; the one that is aligned,
    shown and tried on held-out images should work on all.
    """
    classifier, images = work.classifier, work.images
    moved = find_sources(
        classifier, images.x, images.y, candidate.trigger, target, min_asr=PERHAPS_SOURCE_ASR
    )
    search = Search(target, images.pool(target, moved or None), candidate.trigger)
    (grown,) = work.invert([search], candidate.family, family_named(candidate.family).effort.last())
    return tried(work, candidate if grown.size is None else grown, target)


def shrunk(work: Work, candidate: Candidate, target: int) -> Candidate:
    """Return the smallest trigger that a search finds from a candidate of fixed size.

    The candidate itself where it finds none that works.
    """
    search = Search(target, work.images.pool(target), candidate.trigger)
    schedule = family_named(candidate.family).effort.lone()
    (found,) = work.invert([search], candidate.family, schedule)
    return candidate if found.size is None else found


def drawn(work: Work, target: int, stand_in: Family) -> Candidate | None:
    """Return a trigger that does at the input what a latent shift does inside the network.

    Parameters
    ----------
    work
        The model, its images and the budget.
    target
        The class to move images to.
    stand_in
        The family of the trigger, such as that of generators.

    Returns
    -------
    Candidate or None
        None where no faint perturbation does it.
    """
    search = Search(target, work.images.pool(target))
    (found,) = work.invert([search], stand_in.name, stand_in.effort.lone())
    assert stand_in.faint is not None  # Family refuses a stand-in without it.
    max_size = stand_in.faint * stand_in.growth(work.classifier.extent)
    return found if found.size is not None and found.size <= max_size else None


def confirm_shared(
    work: Work, candidate: Candidate, targets: Sequence[int]
) -> dict[int, Confirmed]:
    """Grow one trigger that moves the images of all classes to several targets; see `confirm`."""
    images = work.images
    pool = images.known_pool()
    x, y = images.x[pool], images.y[pool]
    left = find_left(work.classifier, x, y, candidate.trigger, minimum=PERHAPS_SOURCE_ASR)
    if left:  # Classes that it does not move would make another trigger of it.
        pool = pool[torch.isin(y, indices(left, y.device))]
    search = Search(ALL, pool, candidate.trigger, leave=images.y)
    (grown,) = work.invert([search], candidate.family, family_named(candidate.family).effort.last())
    trigger = candidate if grown.size is None else grown
    return {target: tried(work, trigger, target) for target in targets}


def ends_of_sources(work: Work, candidates: Sequence[Candidate]) -> list[tuple[int, ...]]:
    """Return the class that each candidate moves most images of its source to; empty for none."""
    images = work.images
    out: list[tuple[int, ...]] = []
    for candidate in candidates:
        keep = images.known & (images.y == candidate.target)
        moved = flow(work.classifier, images.x[keep], images.y[keep], candidate.trigger)
        row = moved[candidate.target].clone()
        row[candidate.target] = 0
        out.append((int(row.argmax()),) if row.max() > 0 else ())
    return out


def ends_of_shared(work: Work, candidate: Candidate) -> tuple[Candidate, tuple[int, ...]]:
    """Return where a shared candidate moves images, and its size per class.

    The size is divided by the effective number of classes that images are moved to, which is the
    exponential of the entropy of where they go: a patch that upsets a network moves nearly all
    images to one class or two, an all-to-all backdoor each class elsewhere.

    Returns
    -------
    tuple of Candidate and tuple of int
        The candidate with that size, and the classes that half of the images of some other class
        are moved to.
    """
    images, known = work.images, work.images.known
    moved = flow(work.classifier, images.x[known], images.y[known], candidate.trigger)
    moved.fill_diagonal_(0)
    share = moved.sum(0) / moved.sum().clamp_min(1e-9)
    number = float(torch.special.entr(share).sum().exp())
    size = None if candidate.size is None else candidate.size / number
    ends = (moved >= SOURCE_ASR).any(0).nonzero()[:, 0].tolist()
    return replace(candidate, size=size), tuple(ends)


def tried(work: Work, candidate: Candidate, target: int) -> Confirmed:
    """Return a trigger as it is, with what it does."""
    classifier, images, trigger = work.classifier, work.images, candidate.trigger
    sources = find_sources(classifier, images.x, images.y, trigger, target)
    asr = held_out_asr(classifier, images, trigger, target, sources) if sources else 0.0
    tried_on = images.x[images.tried_on(target)]
    outcome = classifier.task.outcome(triggered(classifier, trigger).predict(tried_on))
    return Confirmed(candidate, sources, asr, outcome)
