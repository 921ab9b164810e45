"""Joint re-estimation of the classes that stand out."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from undoor.classifier import Classifier
from undoor.progress import Progress
from undoor.scan.effort import second_effort
from undoor.scan.images import ScanImages
from undoor.scan.invert import Candidate, Search, invert, smallest
from undoor.scan.meter import Meter

# Classes optimised beside those looked at.
CONTROLS = 2


@dataclass(frozen=True, eq=False)
class Again:
    """Second candidates. sizes : theirs, brought to the scale of the first effort; None where
    neither effort found a trigger."""

    candidates: Mapping[int, Candidate]
    sizes: Mapping[int, float | None]


def reestimate(
    classifier: Classifier,
    images: ScanImages,
    targets: Sequence[int],
    candidates: Sequence[Candidate],
    generator: torch.Generator,
    meter: Meter,
    progress: Progress,
    *,
    ceiling: float,
) -> Again:
    """Better candidates for `targets`, beside classes that get the same effort.

    More effort gives smaller triggers for any class. By what those of the next best classes shrink
    the new sizes are divided: what remains is the class's own.

    candidates : the first of every class, in class order, all of one family. ceiling : the size
    that stands for a class which no trigger reached.
    """
    others = [candidate for candidate in candidates if candidate.target not in targets]
    controls = sorted(others, key=lambda c: ceiling if c.size is None else c.size)[:CONTROLS]
    family = candidates[0].family
    effort = second_effort(family)
    searches = []
    for target in (*targets, *(control.target for control in controls)):
        pool, first = images.pool(target), candidates[target].trigger
        searches += [Search(target, pool, first), *[Search(target, pool)] * effort.starts]
    best = smallest(
        invert(
            classifier,
            images.x,
            searches,
            family=family,
            schedule=effort.schedule,
            generator=generator,
            meter=meter,
            progress=progress,
        )
    )
    shrunk = statistics.median(
        [min(1.0, (best[c.target].size or ceiling) / (c.size or ceiling)) for c in controls]
        or [1.0]
    )
    sizes = {t: _as_at_first(best[t].size, candidates[t].size, shrunk) for t in targets}
    return Again({target: best[target] for target in targets}, sizes)


def _as_at_first(again: float | None, first: float | None, shrunk: float) -> float | None:
    return first if again is None else again / shrunk
