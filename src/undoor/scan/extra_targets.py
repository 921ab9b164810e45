"""Targets that are repaired although the scan does not report them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from undoor.black_boxes import black_box_in
from undoor.classifier import Classifier
from undoor.clean_set import Clean, given
from undoor.errors import UndoorError
from undoor.families.family import Family
from undoor.families.registry import families, family_named, find_family
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Candidate, Search, smallest
from undoor.inversion.logit_scale import standardised
from undoor.inversion.meter import Meter
from undoor.inversion.starts import started
from undoor.inversion.triggered import triggered
from undoor.inversion.work import Run, Work, work_alone
from undoor.journal import Journal
from undoor.progress import Progress, silent
from undoor.scan.reason import ClassFacts
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.scan.screen import screen

STARTS = 2
SCHEDULE = Schedule(steps=160, batch=16, success=0.95)


def with_targets(
    classifier: Classifier,
    clean: Clean,
    report: ScanReport,
    targets: Sequence[int],
    *,
    meter: Meter | None = None,
    seed: int = 0,
    journal: Journal | None = None,
    progress: Progress = silent,
) -> ScanReport:
    """Add a finding for each of `targets` that a report does not name, for `undoor.repair`.

    The trigger is the smallest that moves images of all other classes, searched for in the family
    in which the class stood out most. Verdict, reasons and evidence stay as they are.

    Parameters
    ----------
    classifier
        The model.
    clean
        Clean images of all classes.
    report
        What the scan reported.
    targets
        Classes to repair.
    seed
        Of the source of chance.
    progress
        Progress callback.
    meter
        What counts the passes of `classifier`; its budget may end.
    journal
        As of `undoor.inversion.journalled_search.about`, for this model and these images.

    Raises
    ------
    UndoorError
        A target is no class of the model, or nothing tried moves images to it.
    """
    targets = require_targets(classifier, targets)
    named = {finding.target for finding in report.findings}
    missing = [target for target in dict.fromkeys(targets) if target not in named]
    if not missing:
        return report
    clean = given(clean, classifier).on(classifier.device)
    network = standardised(classifier.fast_copy(), clean.images)
    run = Run(torch.Generator().manual_seed(seed), meter or Meter(), progress, journal)
    work = work_alone(network, clean, run)
    added = [_finding(work, report, target) for target in missing]
    return replace(report, findings=(*report.findings, *added))


def require_targets(classifier: Classifier, targets: Sequence[int]) -> tuple[int, ...]:
    """Return the targets, or refuse what are no classes of the model.

    Raises
    ------
    UndoorError
        One is no number of a class, or it is no sequence.
    """
    given = tuple(targets) if isinstance(targets, Sequence) else (targets,)
    for target in given:
        if type(target) is not int or not 0 <= target < classifier.num_classes:
            raise UndoorError(
                f"expected targets from 0 to {classifier.num_classes - 1}, the model's classes, "
                f"got {target!r}; give a sequence of class numbers"
            )
    return given


def most_suspicious(report: ScanReport, count: int) -> tuple[int, ...]:
    """Return the `count` classes that stand out most.

    The scan's targets first, then the classes that its reasons name, by their p-value over all
    families, then the others by that of one family.

    Raises
    ------
    UndoorError
        `count` is below 0.
    """
    if type(count) is not int or count < 0:
        raise UndoorError(f"expected at least 0 suspects, got {count!r}; give a number of classes")
    doubts = [reason.facts for reason in report.reasons if isinstance(reason.facts, ClassFacts)]
    doubts.sort(key=lambda facts: facts.p_value)
    first_of_all = [finding.target for finding in report.findings]
    named = [*dict.fromkeys([*first_of_all, *(facts.target for facts in doubts)])]
    others = [k for k in range(len(report.class_names)) if k not in named]
    first = {target: _clearest_first(report.evidence, target)[0] for target in others}
    others.sort(key=lambda target: (first[target].p_value, -first[target].score))
    return tuple([*named, *others][:count])


def _finding(work: Work, report: ScanReport, target: int) -> Finding:
    network, pool = work.classifier, work.images.pool(target)
    for evidence in _clearest_first(report.evidence, target):
        if black_box_in(network) is not None and not family_named(evidence.family).cells:
            continue  # It reaches any class of networks alone.
        candidate = _smallest(work, family_named(evidence.family), target)
        if candidate.size is not None:
            break
    else:
        raise UndoorError(
            f"expected a trigger that moves clean images to class {target}, found none in any "
            "family: there is nothing to correct; leave this target out"
        )
    predicted = triggered(network, candidate.trigger).predict(work.images.x[pool])
    moved = network.task.reached(predicted, target)
    return Finding(
        target=target,
        sources=tuple(k for k in range(network.num_classes) if k != target),
        family=candidate.family,
        p_value=evidence.p_value,
        score=evidence.score,
        size=candidate.size,
        asr_on_clean_set=float(moved.float().mean()),
        trigger=candidate.trigger,
    )


def _smallest(work: Work, family: Family, target: int) -> Candidate:
    """Return the smallest trigger of a family towards a class, or what trying finds."""
    if work.tried_alone(family):
        tried = screen(work, family.name, [target])
        return next(found for found in tried if found.target == target)
    search, kind = Search(target, work.images.pool(target)), family.candidates.name
    return smallest(work.invert(started(work, search, kind, STARTS), kind, SCHEDULE))[target]


def _clearest_first(evidence: Sequence[ClassEvidence], target: int) -> list[ClassEvidence]:
    """Return the evidence of families that move all classes to a target, the strongest first.

    At the end that of a family which reaches any class of any model.
    """
    of_target = [
        item
        for item in evidence
        if item.target == target
        and item.source is None
        and item.size is not None
        and (family := find_family(item.family)) is not None
        and family.moves == "target"
    ]
    fallback = next(family.name for family in families() if family.reaches_any)
    last = ClassEvidence(target, fallback, None, score=1.0, p_value=1.0)
    return [*sorted(of_target, key=lambda item: (item.p_value, -item.score)), last]
