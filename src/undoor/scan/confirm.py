"""The last look at a suspect: a trigger that works, the classes it moves, and how well."""

from __future__ import annotations

from dataclasses import dataclass

from undoor.scan.effort import last_schedule
from undoor.scan.images import find_sources, held_out_asr
from undoor.scan.invert import Candidate, Search
from undoor.scan.work import Work

# A class of which an estimate moves a fifth may still turn out to be a source.
PERHAPS_SOURCE_ASR = 0.2


@dataclass(frozen=True, eq=False)
class Confirmed:
    """A suspect's trigger, its sources, and the share of their held-out images that it moves, all
    in float32."""

    candidate: Candidate
    sources: tuple[int, ...]
    asr: float


def confirm(work: Work, candidate: Candidate) -> Confirmed:
    """`candidate` grown until it works on nearly all images of the classes that it may move.

    What was estimated to be as small as can be works on some images only; what is to be aligned,
    shown and tried on held-out images should work on all.
    """
    classifier, images, target = work.classifier, work.images, candidate.target
    moved = find_sources(
        classifier, images.x, images.y, candidate.trigger, target, least=PERHAPS_SOURCE_ASR
    )
    search = Search(target, images.pool(target, moved or None), candidate.trigger)
    (grown,) = work.invert([search], candidate.family, last_schedule(candidate.family))
    best = candidate if grown.size is None else grown
    work.meter.spend((2 * len(images.x) + len(images.held_out)) / 2)
    sources = find_sources(classifier, images.x, images.y, best.trigger, target)
    asr = held_out_asr(classifier, images, best.trigger, target, sources) if sources else 0.0
    return Confirmed(best, sources, asr)
