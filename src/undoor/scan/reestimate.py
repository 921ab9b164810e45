"""Joint re-estimation of the classes that stand out."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

import torch

from undoor.classifier import Classifier
from undoor.progress import Progress
from undoor.scan.images import ScanImages, find_sources, held_out_asr
from undoor.scan.invert import Candidate, Schedule, Search, invert, smallest
from undoor.scan.report import ClassEvidence, Finding
from undoor.scan.statistics import mad_scores, order_statistic_p_values, reciprocal

FEW_CLASSES = 12
# Classes optimised beside those looked at, and candidates of a class from noise beside the one
# that starts from the first estimate.
CONTROLS = 2
FRESH_STARTS = 3
# A class of which a first estimate moves a fifth may still turn out to be a source.
PERHAPS_SOURCE_ASR = 0.2


def reestimate(
    classifier: Classifier,
    images: ScanImages,
    looks: Sequence[ClassEvidence],
    candidates: Sequence[Candidate],
    evidence: Sequence[ClassEvidence],
    generator: torch.Generator,
    progress: Progress,
) -> list[tuple[ClassEvidence, Finding]]:
    """New evidence for the classes of `looks`, on the sources that their first triggers move.

    More effort and fewer sources give smaller triggers for any class. The next best classes get
    the same, and the sizes of all others are taken to shrink as theirs do: what remains of the
    distance is the class's own.

    candidates, evidence : the first of every class, in class order, all of one family.
    """
    looked = [item.target for item in looks]
    reached = [item for item in evidence if item.target not in looked and item.size is not None]
    controls = sorted(reached, key=lambda item: item.size or 0.0)[:CONTROLS]
    searches = []
    for target in (*looked, *(control.target for control in controls)):
        first = candidates[target].trigger
        moved = find_sources(
            classifier, images.x, images.y, first, target, least=PERHAPS_SOURCE_ASR
        )
        pool = images.pool(target, moved or None)
        searches += [Search(target, pool, first), *[Search(target, pool)] * FRESH_STARTS]
    best = smallest(
        invert(
            classifier,
            images.x,
            searches,
            family=looks[0].family,
            schedule=_schedule(classifier.num_classes),
            generator=generator,
            progress=progress,
        )
    )
    sizes = _shrunk(evidence, [(control, best[control.target]) for control in controls])
    for target in looked:
        sizes[target] = best[target].size or evidence[target].size
    statistic = reciprocal(sizes)
    scores, p_values = mad_scores(statistic), order_statistic_p_values(statistic)
    again = []
    for item in looks:
        target, trigger = item.target, best[item.target].trigger
        sources = find_sources(classifier, images.x, images.y, trigger, target)
        asr = held_out_asr(classifier, images, trigger, target, sources) if sources else 0.0
        new = replace(
            item,
            size=sizes[target],
            score=float(scores[target]),
            p_value=float(p_values[target]),
            asr=asr,
        )
        again.append((new, _finding(new, sources, best[target])))
    return again


def _shrunk(
    evidence: Sequence[ClassEvidence], controls: Sequence[tuple[ClassEvidence, Candidate]]
) -> list[float | None]:
    """All sizes, made smaller as those of the controls became."""
    ratios = [
        min(1.0, (candidate.size or item.size or 1.0) / (item.size or 1.0))
        for item, candidate in controls
    ]
    factor = statistics.median(ratios) if ratios else 1.0
    return [item.size if item.size is None else item.size * factor for item in evidence]


def _finding(item: ClassEvidence, sources: tuple[int, ...], candidate: Candidate) -> Finding:
    return Finding(
        target=item.target,
        sources=sources,
        family=item.family,
        p_value=item.p_value,
        score=item.score,
        size=item.size or 0.0,
        asr_on_clean_set=item.asr,
        trigger=candidate.trigger,
    )


def _schedule(classes: int) -> Schedule:
    if classes <= FEW_CLASSES:
        return Schedule(steps=300, batch=8, success=0.95, weight=0.01, trial=80, keep=2)
    return Schedule(steps=200, batch=8, success=0.95, weight=0.01, trial=60, keep=1)
