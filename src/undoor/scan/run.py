"""The scan: invert triggers for every class, find outliers, confirm them, decide."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.progress import Progress, silent
from undoor.scan.decide import Thresholds, decide, deserves_look, is_suspect
from undoor.scan.invert import Candidate, Schedule, Search, invert
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.scan.statistics import mad_scores, order_statistic_p_values, reciprocal
from undoor.triggers import TRIGGERS, Trigger

HELD_OUT = 0.3
# More images than this change no estimate enough to pay for the passes.
MOST_PER_CLASS = 100
MOST_HELD_OUT = 400
# Joint re-estimation: classes looked at again in a family (of any others the first evidence
# stands, and makes the model inconclusive), classes optimised beside each, and candidates of a
# class from noise beside the one that starts from the first estimate.
MOST_LOOKS = 4
FEW_CLASSES = 12
CONTROLS = 2
FRESH_STARTS = 5
# A class is a source where the trigger moves half of its images; one of which a first estimate
# moves a fifth may still turn out to be one.
SOURCE_ASR = 0.5
PERHAPS_SOURCE_ASR = 0.2
LEAST_ACCURACY_OVER_CHANCE = 0.2


@dataclass(frozen=True, eq=False)
class _Images:
    """The clean set cut in two: what triggers are estimated on, and what they are tried on."""

    x: Tensor
    y: Tensor
    estimate: Tensor
    held_out: Tensor

    def pool(self, target: int, sources: Sequence[int] | None = None) -> Tensor:
        """Indices for estimating: all classes but the target, or these sources alone."""
        keep = self.y[self.estimate] != target
        if sources is not None:
            keep &= torch.isin(self.y[self.estimate], torch.tensor(list(sources)))
        return self.estimate[keep]


def scan(
    classifier: Classifier,
    clean: CleanSet,
    *,
    seed: int = 0,
    thresholds: Thresholds | None = None,
    progress: Progress = silent,
) -> ScanReport:
    """Search `classifier` for a backdoor with nothing but clean images.

    One trigger per class and family from all other classes; the classes whose trigger is far
    smaller than those of the others are estimated again with more effort, must remain outliers
    beside classes that got the same effort, and must move held-out images of their sources.

    clean : labelled clean images, every class present; of more than 100 a class, 100 are drawn.

    Raises
    ------
    UndoorError : unusable clean set, or a model that is not finite.
    """
    started = time.perf_counter()
    limits = thresholds or Thresholds()
    clean = clean.for_classifier(classifier).balanced(MOST_PER_CLASS, seed)
    generator = torch.Generator().manual_seed(seed)
    images = _split(clean, generator)
    search = classifier.fast_copy()
    size = classifier.num_classes, _pixels(classifier)
    evidence: list[ClassEvidence] = []
    findings: dict[int, Finding] = {}
    for family in TRIGGERS:
        candidates = _every_class(search, images, family, generator, progress)
        found = _judge(search, images, candidates)
        looks = [item for item in found if deserves_look(item, *size, limits)]
        for item in sorted(looks, key=lambda item: item.p_value)[:MOST_LOOKS]:
            again, finding = _again(search, images, item, candidates, found, generator, progress)
            found[item.target] = again
            if is_suspect(again, *size, limits) and _stronger(finding, findings):
                findings[item.target] = finding
        evidence += found
    ordered = tuple(sorted(findings.values(), key=lambda finding: finding.p_value))
    verdict, reasons = decide(ordered, evidence, classifier.class_names, size[1], limits)
    if verdict == "clean" and (doubt := _unfit(search, clean)):
        verdict, reasons = "inconclusive", (doubt,)
    return ScanReport(
        verdict=verdict,
        reasons=reasons,
        findings=ordered,
        evidence=tuple(evidence),
        class_names=classifier.class_names,
        fingerprint=classifier.fingerprint(),
        images=len(clean),
        seed=seed,
        seconds=time.perf_counter() - started,
    )


def _every_class(
    classifier: Classifier,
    images: _Images,
    family: str,
    generator: torch.Generator,
    progress: Progress,
) -> tuple[Candidate, ...]:
    """A candidate for each class as a target, in class order."""
    classes = range(classifier.num_classes)
    starts, schedule = _first_effort(family, len(classes))
    searches = [Search(target, images.pool(target)) for target in classes for _ in range(starts)]
    best = _best_of(classifier, images, searches, family, schedule, generator, progress)
    return tuple(best[target] for target in classes)


def _judge(
    classifier: Classifier, images: _Images, candidates: Sequence[Candidate]
) -> list[ClassEvidence]:
    """How far each candidate stands out of all of its family."""
    statistic = reciprocal([candidate.size for candidate in candidates])
    scores, p_values = mad_scores(statistic), order_statistic_p_values(statistic)
    return [
        ClassEvidence(
            target=candidate.target,
            family=candidate.family,
            size=candidate.size,
            score=float(score),
            p_value=float(p_value),
            asr=_held_out_asr(classifier, images, candidate),
        )
        for candidate, score, p_value in zip(candidates, scores, p_values, strict=True)
    ]


def _again(
    classifier: Classifier,
    images: _Images,
    item: ClassEvidence,
    candidates: Sequence[Candidate],
    evidence: Sequence[ClassEvidence],
    generator: torch.Generator,
    progress: Progress,
) -> tuple[ClassEvidence, Finding]:
    """Joint re-estimation of a class that stands out, on the sources that its trigger moves.

    More effort and fewer sources give smaller triggers for any class. The next best classes get
    the same, and the sizes of all others are taken to shrink as theirs do: what remains of the
    distance is the class's own.
    """
    others = sorted(
        (e for e in evidence if e.target != item.target and e.size is not None),
        key=lambda e: e.size or 0.0,
    )[:CONTROLS]
    searches = []
    for target in (item.target, *(other.target for other in others)):
        moved = find_sources(
            classifier,
            images.x,
            images.y,
            candidates[target].trigger,
            target,
            least=PERHAPS_SOURCE_ASR,
        )
        pool = images.pool(target, moved or None)
        searches.append(Search(target, pool, candidates[target].trigger))
        searches += [Search(target, pool)] * FRESH_STARTS
    effort = _second_effort(classifier.num_classes)
    best = _best_of(classifier, images, searches, item.family, effort, generator, progress)
    trigger = best[item.target].trigger
    sources = find_sources(classifier, images.x, images.y, trigger, item.target)
    shrunk = [
        min(1.0, (best[other.target].size or other.size or 1.0) / (other.size or 1.0))
        for other in others
    ]
    factor = statistics.median(shrunk) if shrunk else 1.0
    sizes = [e.size if e.size is None else e.size * factor for e in evidence]
    own = best[item.target].size or item.size
    sizes[item.target] = own
    statistic = reciprocal(sizes)
    again = replace(
        item,
        size=own,
        score=float(mad_scores(statistic)[item.target]),
        p_value=float(order_statistic_p_values(statistic)[item.target]),
        asr=_held_out_asr(classifier, images, best[item.target], sources) if sources else 0.0,
    )
    return again, Finding(
        target=item.target,
        sources=sources,
        family=item.family,
        p_value=again.p_value,
        score=again.score,
        size=own or 0.0,
        asr_on_clean_set=again.asr,
        trigger=trigger,
    )


def _best_of(
    classifier: Classifier,
    images: _Images,
    searches: Sequence[Search],
    family: str,
    schedule: Schedule,
    generator: torch.Generator,
    progress: Progress,
) -> dict[int, Candidate]:
    """The smallest candidate for each target: one start in two can miss a trigger."""
    candidates = invert(
        classifier,
        images.x,
        searches,
        family=family,
        schedule=schedule,
        generator=generator,
        progress=progress,
    )
    return {
        target: min(
            (c for c in candidates if c.target == target),
            key=lambda c: float("inf") if c.size is None else c.size,
        )
        for target in {search.target for search in searches}
    }


@torch.no_grad()
def find_sources(
    classifier: Classifier,
    x: Tensor,
    y: Tensor,
    trigger: Trigger,
    target: int,
    *,
    least: float = SOURCE_ASR,
) -> tuple[int, ...]:
    """The classes of which the trigger moves at least this share of the images to `target`."""
    moved = classifier.predict(trigger(x)) == target
    return tuple(
        label
        for label in y.unique().tolist()
        if label != target and moved[y == label].float().mean() >= least
    )


def _held_out_asr(
    classifier: Classifier,
    images: _Images,
    candidate: Candidate,
    sources: Sequence[int] | None = None,
) -> float:
    y = images.y[images.held_out]
    keep = y != candidate.target
    if sources:
        keep &= torch.isin(y, torch.tensor(list(sources)))
    x = images.x[images.held_out[keep]]
    if len(x) == 0:
        return 0.0
    return float((classifier.predict(candidate.trigger(x)) == candidate.target).float().mean())


def _split(clean: CleanSet, generator: torch.Generator) -> _Images:
    """About a third of each class is held out; a class with one image serves in both halves."""
    estimate, held_out = [], []
    for label in clean.labels.unique():
        rows = (clean.labels == label).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=generator)]
        cut = max(1, round(len(rows) * HELD_OUT))
        held_out.append(rows[:cut])
        estimate.append(rows[cut:] if len(rows) > 1 else rows)
    kept = torch.cat(held_out)
    kept = kept[torch.randperm(len(kept), generator=generator)[:MOST_HELD_OUT]]
    return _Images(clean.images, clean.labels, torch.cat(estimate), kept)


def _first_effort(family: str, classes: int) -> tuple[int, Schedule]:
    """Starts a class and their schedule: patches hide best, few classes cost little."""
    few = classes <= FEW_CLASSES
    if family == "patch":
        schedule = Schedule(steps=280, batch=2, weight=0.02, trial=70, keep=3 if few else 1)
        return 24 if few else 8, schedule
    return (2, Schedule(steps=240)) if few else (1, Schedule(steps=160))


def _second_effort(classes: int) -> Schedule:
    if classes <= FEW_CLASSES:
        return Schedule(steps=300, batch=8, success=0.95, weight=0.01, trial=80, keep=2)
    return Schedule(steps=200, batch=8, success=0.95, weight=0.01, trial=60, keep=1)


def _stronger(finding: Finding, known: Mapping[int, Finding]) -> bool:
    """Whether no trigger of another family moves as many images to the same target.

    p-values far out in the tail do not compare between families.
    """
    other = known.get(finding.target)
    return other is None or finding.asr_on_clean_set > other.asr_on_clean_set


def _unfit(classifier: Classifier, clean: CleanSet) -> str | None:
    """A model that does not know the clean images cannot be called clean by them."""
    accuracy = float((classifier.predict(clean.images) == clean.labels).float().mean())
    chance = 1 / classifier.num_classes
    if accuracy >= chance + LEAST_ACCURACY_OVER_CHANCE * (1 - chance):
        return None
    return (
        f"the model answers only {accuracy:.0%} of the clean images correctly; check that labels, "
        "bounds, mean and std fit it"
    )


def _pixels(classifier: Classifier) -> int:
    return int(torch.tensor(classifier.input_shape[1:]).prod())
