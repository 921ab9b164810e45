"""The last look at a suspect: a trigger that works, the classes it moves, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from undoor.device import indices
from undoor.families.family import Family
from undoor.families.registry import family_named
from undoor.inversion.candidates import ALL, Candidate, Search
from undoor.inversion.images import SOURCE_ASR, find_left, find_sources, flow, held_out_asr
from undoor.inversion.work import Work

# A class of which an estimate moves a fifth may still turn out to be a source.
PERHAPS_SOURCE_ASR = 0.2


@dataclass(frozen=True, eq=False)
class Confirmed:
    """A suspect's trigger, its sources, and the share of their held-out images that it moves, all
    in float32.
    """

    candidate: Candidate
    sources: tuple[int, ...]
    asr: float


def confirm(work: Work, candidate: Candidate, target: int) -> Confirmed:
    """`candidate` grown until it works on nearly all images of the classes that it may move.

    What was estimated to be as small as can be works on some images only; what is to be aligned,
    shown and tried on held-out images should work on all.
    """
    classifier, images = work.classifier, work.images
    moved = find_sources(
        classifier, images.x, images.y, candidate.trigger, target, min_asr=PERHAPS_SOURCE_ASR
    )
    search = Search(target, images.pool(target, moved or None), candidate.trigger)
    (grown,) = work.invert([search], candidate.family, family_named(candidate.family).effort.last())
    best = candidate if grown.size is None else grown
    return _tried(work, best, target)


def drawn(work: Work, target: int, stand_in: Family) -> Candidate | None:
    """Return a trigger that does at the input what a latent shift does inside.

    None where none does with a faint perturbation.

    Parameters
    ----------
    stand_in
        Its family, such as that of generators.
    """
    search = Search(target, work.images.pool(target))
    (best,) = work.invert([search], stand_in.name, stand_in.effort.lone())
    assert stand_in.faint is not None  # Family refuses a stand-in without it.
    most = stand_in.faint * stand_in.growth(work.classifier.extent)
    return best if best.size is not None and best.size <= most else None


def confirm_shared(
    work: Work, candidate: Candidate, targets: Sequence[int]
) -> dict[int, Confirmed]:
    """Return the same for one trigger that sends the images of classes to several targets."""
    images = work.images
    pool = images.known_pool()
    x, y = images.x[pool], images.y[pool]
    left = find_left(work.classifier, x, y, candidate.trigger, minimum=PERHAPS_SOURCE_ASR)
    if left:  # Classes that it does not move would make another trigger of it.
        pool = pool[torch.isin(y, indices(left, y.device))]
    search = Search(ALL, pool, candidate.trigger, leave=images.y)
    (grown,) = work.invert([search], candidate.family, family_named(candidate.family).effort.last())
    best = candidate if grown.size is None else grown
    return {target: _tried(work, best, target) for target in targets}


def ends_of_sources(work: Work, candidates: Sequence[Candidate]) -> list[tuple[int, ...]]:
    """Return for each candidate that makes images of one class leave it, the class where most
    end.
    """
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
    """Return the classes in which half of the images of some other class end, and the candidate
    with its size divided by how many classes the images end in.

    That number is the exponential of the entropy of where they go: a patch that upsets a network
    sends nearly all images to one class or two, an all-to-all backdoor each class elsewhere.
    """
    images, known = work.images, work.images.known
    moved = flow(work.classifier, images.x[known], images.y[known], candidate.trigger)
    moved.fill_diagonal_(0)
    share = moved.sum(0) / moved.sum().clamp_min(1e-9)
    number = float(torch.special.entr(share).sum().exp())
    size = None if candidate.size is None else candidate.size / number
    ends = (moved >= SOURCE_ASR).any(0).nonzero()[:, 0].tolist()
    return replace(candidate, size=size), tuple(ends)


def _tried(work: Work, candidate: Candidate, target: int) -> Confirmed:
    classifier, images, trigger = work.classifier, work.images, candidate.trigger
    sources = find_sources(classifier, images.x, images.y, trigger, target)
    asr = held_out_asr(classifier, images, trigger, target, sources) if sources else 0.0
    return Confirmed(candidate, sources, asr)
