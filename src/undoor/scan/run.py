"""The scan: invert triggers for every class, find outliers, confirm them, decide."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.progress import Progress, silent
from undoor.scan.decide import Thresholds, decide, deserves_look, is_suspect
from undoor.scan.images import ScanImages, held_out_asr, split
from undoor.scan.invert import Candidate, Schedule, Search, invert, smallest
from undoor.scan.reestimate import FEW_CLASSES, reestimate
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.scan.statistics import mad_scores, order_statistic_p_values, reciprocal

# More images than this change no estimate enough to pay for the passes.
MOST_PER_CLASS = 100
# Classes that are looked at again in a family; of any others the first evidence stands, and makes
# the model inconclusive.
MOST_LOOKS = 4
LEAST_ACCURACY_OVER_CHANCE = 0.2
FIRST = ("patch", "additive")


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
    beside classes that got the same effort, and must move held-out images of their sources. A
    target that one family has found is not looked at again in the next: families come from the
    most to the least local, and a local trigger makes the more careful repair.

    clean : labelled clean images, every class present; of more than 100 a class, 100 are drawn.

    Raises
    ------
    UndoorError : unusable clean set, or a model that is not finite.
    """
    started = time.perf_counter()
    limits = thresholds or Thresholds()
    clean = clean.for_classifier(classifier).balanced(MOST_PER_CLASS, seed)
    generator = torch.Generator().manual_seed(seed)
    images = split(clean, generator)
    search = classifier.fast_copy()
    size = classifier.num_classes, _pixels(classifier)
    evidence: list[ClassEvidence] = []
    findings: dict[int, Finding] = {}
    for family in FIRST:
        candidates = _every_class(search, images, family, generator, progress)
        found = _judge(search, images, candidates)
        looks = sorted(
            (
                item
                for item in found
                if item.target not in findings and deserves_look(item, *size, limits)
            ),
            key=lambda item: item.p_value,
        )[:MOST_LOOKS]
        if looks:
            again = reestimate(search, images, looks, candidates, found, generator, progress)
            for item, finding in again:
                found[item.target] = item
                if is_suspect(item, *size, limits):
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
    images: ScanImages,
    family: str,
    generator: torch.Generator,
    progress: Progress,
) -> tuple[Candidate, ...]:
    """A candidate for each class as a target, in class order."""
    classes = range(classifier.num_classes)
    starts, schedule = _first_effort(family, len(classes))
    searches = [Search(target, images.pool(target)) for target in classes for _ in range(starts)]
    candidates = invert(
        classifier,
        images.x,
        searches,
        family=family,
        schedule=schedule,
        generator=generator,
        progress=progress,
    )
    best = smallest(candidates)
    return tuple(best[target] for target in classes)


def _judge(
    classifier: Classifier, images: ScanImages, candidates: Sequence[Candidate]
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
            asr=held_out_asr(classifier, images, candidate.trigger, candidate.target),
        )
        for candidate, score, p_value in zip(candidates, scores, p_values, strict=True)
    ]


def _first_effort(family: str, classes: int) -> tuple[int, Schedule]:
    """Starts a class and their schedule: patches hide best, few classes cost little."""
    few = classes <= FEW_CLASSES
    if family == "patch":
        schedule = Schedule(steps=280, batch=2, weight=0.02, trial=70, keep=3 if few else 1)
        return 24 if few else 8, schedule
    return (2, Schedule(steps=240, trial=80)) if few else (1, Schedule(steps=160))


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
