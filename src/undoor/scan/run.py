"""The scan: what is checked before and after the search, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import Clean, CleanSet, given, with_goals_of
from undoor.device import described
from undoor.errors import BudgetEnded
from undoor.families.calibration import Calibration, calibration_for
from undoor.identity.model import exact_identity, with_predictions
from undoor.inspect.dry_run import dry_run, is_near_chance
from undoor.inversion.class_directions import ClassDirections
from undoor.inversion.gradients import require_gradients
from undoor.inversion.image_split import split
from undoor.inversion.journalled_search import about
from undoor.inversion.logit_scale import flat_share, standardised
from undoor.inversion.margins import clean_margin
from undoor.inversion.meter import Budget, Meter
from undoor.inversion.ranking import ranked_first
from undoor.inversion.smaller import first_look_of
from undoor.inversion.work import Run, Work
from undoor.journal import Journal
from undoor.kinds import checked
from undoor.progress import Progress, silent
from undoor.scan.circumstances import circumstances, now
from undoor.scan.coverage import Coverage
from undoor.scan.decide import Thresholds
from undoor.scan.doubts import doubts
from undoor.scan.extra_targets import require_targets
from undoor.scan.gaps import coverage, require_acceptance, shortages, supported
from undoor.scan.limits import goals_of, limits_of
from undoor.scan.reason import AccuracyFacts, Reason, ShareFacts
from undoor.scan.report import ScanReport
from undoor.scan.screening import searched
from undoor.scan.search import SearchResult, search_and_decide, unsearched
from undoor.sites import network_kind
from undoor.vocabulary import (
    BUDGET,
    FLAT_SCORES,
    FULL,
    LABELS,
    NEAR_CHANCE,
    NO_HEAD,
    PARTIAL,
    SCORES,
    AcceptCoverage,
    Cause,
)

# More images than this change no estimate enough to pay for the passes.
MAX_PER_CLASS = 100
BATCH = 256


@checked
def scan(
    classifier: Classifier,
    clean: Clean,
    *,
    seed: int = 0,
    thresholds: Thresholds | None = None,
    budget: Budget | None = None,
    max_seconds: float | None = None,
    accept_graph: bool = False,
    accept_coverage: AcceptCoverage = FULL,
    calibration: Calibration | None = None,
    targets: Sequence[int] | None = None,
    journal: Journal | None = None,
    progress: Progress = silent,
) -> ScanReport:
    """Search a classifier for a backdoor, given clean images alone.

    Screen: for each class and family, find the smallest trigger that a little work finds for all
    other classes; and the smallest patches that make images of one class, or of all, leave their
    class, wherever they go. Look again: estimate a second time the triggers that are far smaller
    than natural ones, in the family that shows them, with the same effort. Decide: combine the
    families' p-values into one per class; the trigger must move held-out images of its sources.

    Parameters
    ----------
    classifier
        The model.
    clean
        Labelled clean images, every class present; of more than 100 per class, 100 are drawn.
    seed
        Of the source of chance.
    thresholds
        What a verdict takes; the defaults of `Thresholds` where none are given.
    progress
        Progress callback.
    budget
        What the scan may cost; where it ends early, the verdict is never "clean". Its passes are
        never exceeded, its seconds by one batch of passes at most.
    max_seconds
        The same as a budget of so many seconds; give one of the two at most.
    accept_graph
        Whether a network may be called clean whose graph holds what ordinary layers do not have, as
        the user has looked at it.
    accept_coverage
        "partial" where a network may be called clean although not all families could be searched in
        it, or the statistics were learned on another kind of network or input.
    calibration
        What natural triggers look like, as `undoor.calibrate` learned it from models of yours; that
        of undoor where none is given.
    targets
        Classes that triggers are searched towards, and some others to compare with; all where none
        are given. A model is then never called clean.
    journal
        Where checkpoints are written. A scan that was killed resumes from there and ends with the
        same report; only its seconds differ. So does one whose budget ended, with a larger one.

    Returns
    -------
    ScanReport
        The verdict, its reasons and all evidence.

    Raises
    ------
    UndoorError
        Unusable clean set or options, a model that is not finite or passes no gradients.
    """
    meter = Meter(Budget.of(budget, max_seconds))
    progress = meter.watching(progress)
    limits = thresholds or Thresholds()
    require_acceptance(accept_coverage)
    targets = None if targets is None else require_targets(classifier, targets)
    held = given(clean, classifier).balanced(MAX_PER_CLASS, seed, classifier.task)
    clean = held.on(classifier.device)
    classifier = with_goals_of(classifier, clean)
    space, task = classifier.space.name, classifier.task.name
    learned = calibration or calibration_for(
        classifier.num_classes, space, task, classifier.input_shape, network_kind(classifier)
    )
    search = classifier.fast_copy().counted(meter)
    exact = exact_identity(classifier)
    journal = journal and about(journal, str(exact.sha256), held, classifier.device)
    run = Run(torch.Generator().manual_seed(seed), meter, progress, journal)
    try:
        search = standardised(search, clean.images)
        found = _examined(search, clean, limits, run, learned, targets)
    except BudgetEnded:
        found = unsearched(searched(search), meter)
    never, notes = doubts(
        classifier, search, clean.images, found.findings, meter, accept_graph=accept_graph
    )
    found, covered = _covered(
        _never_clean(found, never),
        classifier,
        learned,
        clean,
        accepted=accept_coverage == PARTIAL,
    )
    return ScanReport(
        verdict=found.verdict,
        reasons=(*found.reasons, *notes),
        findings=found.findings,
        evidence=found.evidence,
        coverage=covered,
        class_names=classifier.class_names,
        fingerprint=str(exact.sha256),
        identity=with_predictions(exact, classifier),
        images=len(clean),
        seed=seed,
        seconds=meter.seconds,
        passes=round(meter.passes),
        device=described(classifier.device),
        causes=_causes(found, meter),
        date=now(),
        goals=classifier.task.settings,
        circumstances=circumstances(
            held,
            classifier,
            meter.budget,
            alpha=limits.alpha,
            accept_graph=accept_graph,
            accept_coverage=accept_coverage,
            calibration=learned,
            targets=targets or (),
        ),
    )


def _causes(found: SearchResult, meter: Meter) -> tuple[Cause, ...]:
    return (*((BUDGET,) if meter.ended else ()), *found.causes)


def _examined(
    search: Classifier,
    clean: CleanSet,
    limits: Thresholds,
    run: Run,
    learned: Calibration,
    targets: Sequence[int] | None,
) -> SearchResult:
    """Search the model where it can be judged by its predictions and gradients.

    Raises
    ------
    BudgetEnded
        Before the search began.
    """
    work = prepared(search, clean, run, targets)
    if isinstance(work, SearchResult):
        return work
    look = ranked_first(first_look_of(work))
    return replace(search_and_decide(look, limits, learned), limits=limits_of(look, clean))


def prepared(
    search: Classifier, clean: CleanSet, run: Run, targets: Sequence[int] | None = None
) -> Work | SearchResult:
    """Return what the searches of a scan need, or the result where the model cannot be judged.

    Parameters
    ----------
    search
        The model, laid out for searches, its logits at one scale.
    clean
        Clean images on its device.
    run
        The source of chance, the budget, the progress and the journal.
    targets
        As of `scan`.

    Raises
    ------
    BudgetEnded
        The budget did not suffice.
    """
    logits = search.logits(clean.images, BATCH)
    known = search.task.correct(search.task.predictions(logits), clean.labels)
    require_gradients(search, clean.images)
    class_directions = ClassDirections.of(search, clean.images, clean.labels)
    images = split(clean, known, search.task, run.generator)
    # A model that does not predict these images as their classes cannot be judged by them.
    if unfit := _unfit(search, clean, known):
        return SearchResult("inconclusive", (unfit,), causes=(LABELS,))
    if share := flat_share(search, clean.images):
        flat = Reason(FLAT_SCORES, ShareFacts(share))
        return SearchResult("inconclusive", (flat,), causes=(SCORES,))
    if search.task.bars_all and class_directions is None:
        return SearchResult("inconclusive", (Reason(NO_HEAD),), causes=(SCORES,))
    margin = clean_margin(search.task, logits)
    goals = goals_of(search, targets)
    return Work(search, images, class_directions, run, margin, goals)


def _covered(
    found: SearchResult,
    classifier: Classifier,
    learned: Calibration,
    clean: CleanSet,
    *,
    accepted: bool,
) -> tuple[SearchResult, Coverage]:
    """Return the result as far as its coverage supports it, and the coverage."""
    covered = coverage(
        classifier,
        learned,
        searched={item.family for item in found.evidence},
        worked={item.family for item in found.evidence if item.size is not None},
        unfinished=found.unfinished,
        started=not {LABELS, SCORES} & set(found.causes),
        reported=found.reported,
        images=len(clean),
        with_images=sum(
            bool(classifier.task.reached(clean.labels, goal).any())
            for goal in range(classifier.num_classes)
        ),
        accepted=accepted,
        limits=found.limits,
    )
    verdict, covered = supported(found.verdict, covered)
    causes = (*found.causes, *shortages(found.verdict, covered))
    findings = found.findings if verdict == "backdoored" else ()
    return replace(found, verdict=verdict, findings=findings, causes=causes), covered


def _never_clean(found: SearchResult, reasons: Sequence[Reason]) -> SearchResult:
    """Return the result, inconclusive instead of clean where there are reasons for it."""
    if not reasons:
        return found
    if found.verdict != "clean":
        return replace(found, reasons=(*found.reasons, *reasons))
    return replace(found, verdict="inconclusive", reasons=(*reasons, *found.reasons))


def _unfit(search: Classifier, clean: CleanSet, known: Tensor) -> Reason | None:
    """Return why a model cannot be judged by the clean images; None where it can."""
    accuracy = float(known.float().mean())
    chance = search.task.chance(clean.labels, search.num_classes)
    if not is_near_chance(accuracy, chance):
        return None
    fed = dry_run(search, clean)
    better = None if fed.better is None else fed.fed_otherwise[fed.better]
    facts = AccuracyFacts(accuracy, search.num_classes, fed.better, better, chance)
    return Reason(NEAR_CHANCE, facts)
