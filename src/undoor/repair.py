"""Close the backdoors that a scan found: choose where and how to correct, fit, calibrate."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from undoor.align.calibrate import check_fpr
from undoor.align.estimates import Estimates, estimate
from undoor.align.fit import Plan, fit_version, require_fit
from undoor.align.forecast import passes_of_repair
from undoor.align.inspect import site_shifts
from undoor.align.plans import COARSEST, INPUT_ALONE, candidate_plans, few_site_plans
from undoor.align.select import Bench, calibrate, choose_plan, fit_to
from undoor.align.trial import Trial
from undoor.classifier import Classifier
from undoor.clean_set import Clean, CleanSet, given
from undoor.contract import Contract
from undoor.device import CPU, indices, shuffled
from undoor.errors import UndoorError
from undoor.families.registry import find_family
from undoor.identity.model import ModelIdentity, identify
from undoor.inversion.capacity import ANSWERING_OF_FIT
from undoor.inversion.journalled_search import about
from undoor.inversion.logit_scale import standardised
from undoor.inversion.meter import Budget, Meter
from undoor.journal import Journal
from undoor.passes import Capacity
from undoor.progress import Progress, silent
from undoor.repairs.contents import SiteChoice, TargetRepair
from undoor.repairs.record import Repair
from undoor.scan.extra_targets import most_suspicious, with_targets
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.scrutiny import GraphWarning, scrutinise
from undoor.sites import SiteInfo, find_sites, require_repairable
from undoor.triggers import Trigger
from undoor.vocabulary import DEFAULT_FIT, DEFAULT_FPR, REFERENCE

__all__ = ["Repair", "SiteChoice", "TargetRepair", "Trial", "repair"]

# Every site sees the clean and the triggered maps of all images at once; more images than fit
# into this many values at the largest site add little to moments of a unit.
MAX_VALUES = 100_000_000
MIN_SOURCE_IMAGES = 4
MIN_INPUTS = 16
# The authors' code knows channels alone, and its loop over every position would take days.
CHANNEL_BY_CHANNEL = REFERENCE


def repair(
    classifier: Classifier,
    clean: Clean,
    report: ScanReport,
    *,
    fit: str = DEFAULT_FIT,
    fpr: float = DEFAULT_FPR,
    plan: str | None = None,
    force_targets: Sequence[int] = (),
    suspects: int = 0,
    quick: bool = False,
    seed: int = 0,
    budget: Budget | None = None,
    max_seconds: float | None = None,
    journal: Journal | None = None,
    progress: Progress = silent,
) -> Repair:
    """Corrections for every target that `report` names; none where it names none.

    For each target: estimate a few more triggers, choose sites and granularity by
    cross-validation over images and triggers, fit on all source images, calibrate the guard. No
    test number, true trigger or trigger family enters.

    Parameters
    ----------
    fit
        "paired", "onepass", "paper" or "reference" (or another of `fits()`). The plan is chosen
        with `paired`; `reference` corrects all layers per channel.
    fpr
        The share, above 0 and below 1, of clean inputs rightly answered with a target that may be
        flagged; what the clean set can promise is in `TargetRepair.calibration`.
    plan
        The name of one of `candidate_plans` or `few_site_plans`, which is then taken whatever
        cross-validation says.
    force_targets
        Classes to repair as well, whatever the scan says of them; a trigger of each is searched
        for.
    suspects
        The same for so many of the classes that stand out most, the scan's targets among them. The
        verdict stays the scan's.
    quick
        Fit on 150 source images with the scan's own trigger, per channel unless there is a `plan`:
        a tenth of the time, and less is recovered of patterns over the whole image, which no single
        estimate shows, and of triggers that were found inside the network.
    budget, max_seconds
        What the repair may cost, beside the scan, as for `undoor.scan`.
    journal
        Where the steps are kept; a repair that was killed, or whose budget ended, goes on from
        there to the same corrections. A `GraphWarning` says what the network's graph holds that
        ordinary layers do not have, and where its predictions depend on how it is run: whatever is
        hidden behind that is not repaired.

    Raises
    ------
    UndoorError
        `fpr` is no share, the report is another model's, the network has no such plan, the clean
        set does not fit the model, or nothing moves images to a forced target.
    BudgetEnded
        Before the last target was corrected; there is no repair then, not half a one.
    """
    started = time.perf_counter()
    meter = Meter(Budget.of(budget, max_seconds))
    progress = meter.watching(progress)
    check_fpr(fpr)
    _check(classifier, report, fit, plan)
    held = given(clean, classifier)
    clean = held.on(classifier.device)
    network = classifier.fast_copy().counted(meter)
    odd = scrutinise(classifier.counted(meter), clean.images).sentences
    # What it took for an error of the network may have been the end of the budget.
    meter.require_left()
    if odd:
        text = f"{'; '.join(odd)}; what is hidden behind this is not repaired"
        warnings.warn(text, GraphWarning, stacklevel=2)
    wanted = (*force_targets, *most_suspicious(report, suspects))
    identity = _identity(classifier, report)
    journal = journal and about(journal, str(identity.sha256), held, classifier.device)
    report = with_targets(
        network, clean, report, wanted, meter=meter, seed=seed, journal=journal, progress=progress
    )
    meter.expected = meter.passes + passes_of_repair(
        network, clean, report, plans=len(_plans(find_sites(network), plan, fit)), quick=quick
    )
    generator = torch.Generator().manual_seed(seed)
    kept = journal and journal.about(fit, fit_version(fit), fpr, plan, quick, seed, _told(report))
    targets = tuple(
        repair_target(
            network,
            clean,
            finding,
            report.evidence,
            fit=fit,
            fpr=fpr,
            plan=plan,
            quick=quick,
            generator=generator,
            meter=meter,
            progress=progress,
            journal=kept,
        )
        for finding in report.findings
    )
    seconds = {"scan": report.seconds, "align": time.perf_counter() - started}
    contract = Contract.of(classifier)
    return Repair(
        verdict=report.verdict,
        targets=targets,
        fit=fit,
        fingerprint=str(identity.sha256),
        contract=contract,
        seconds=seconds,
        identity=identity,
    )


def _identity(classifier: Classifier, report: ScanReport) -> ModelIdentity:
    """Return the report's, which was compared with the classifier's.

    Computed anew where it holds no more than the weights.
    """
    if report.identity is None or report.identity.sha256 is None:
        return identify(classifier)
    return report.identity


def _told(report: ScanReport) -> str:
    """Return all that a repair depends on.

    Not what it took, nor the model, which the journal knows.
    """
    return json.dumps(report.to_json() | {"seconds": 0, "passes": 0, "model": None, "device": None})


def _check(classifier: Classifier, report: ScanReport, fit: str, plan: str | None) -> None:
    require_fit(fit)
    report.require_model(classifier)
    require_repairable(classifier)
    _plans(find_sites(classifier), plan, fit)


def repair_target(
    classifier: Classifier,
    clean: CleanSet,
    finding: Finding,
    evidence: Sequence[ClassEvidence],
    *,
    fit: str,
    fpr: float,
    plan: str | None = None,
    quick: bool = False,
    generator: torch.Generator,
    meter: Meter,
    progress: Progress,
    journal: Journal | None = None,
) -> TargetRepair:
    """Return the corrections for one finding, as `repair` makes them.

    Parameters
    ----------
    classifier
        Counted by `meter`.
    evidence
        Of the scan that made the finding.
    """
    sources = of_sources(clean, finding.target, finding.sources)
    sites = find_sites(classifier)
    plans = _plans(sites, plan, fit)
    if quick:
        estimates = Estimates((finding.trigger,), None)
        coarsest = next(iter(plans))
        plans = {coarsest: plans[coarsest]}
    else:
        search = standardised(classifier, clean.images)
        estimates = estimate(
            search, clean, finding, evidence, sources, generator, meter, progress, journal
        )
    most = most_inputs(sites, classifier.capacity)
    bench = bench_of(
        classifier, clean, finding.target, sources, estimates.triggers, fpr, most, generator
    )
    bench = replace(bench, fitted_on=estimates.change, held_out=estimates.held_out)
    bench = replace(bench, journal=journal, meter=meter)
    bench = bench.smaller() if quick else bench
    family = find_family(finding.family)
    own = (family and family.in_repair.fit) or DEFAULT_FIT
    fit = own if fit == DEFAULT_FIT else fit
    chosen, trials, outcome = choose_plan(bench, plans, own, progress)
    x = bench.x[bench.sources]
    chosen = feasible(chosen, plans, fit)
    corrections = fit_to(classifier, bench.change, x, plans[chosen], fit=fit, progress=progress)
    moved = site_shifts(classifier, plans[chosen], bench.triggers[0], x)
    calibration = calibrate(bench, corrections)
    return TargetRepair(
        target=finding.target,
        sources=finding.sources,
        trigger=bench.triggers[0],
        corrections={name: item.to(CPU) for name, item in corrections.items()},
        calibration=calibration,
        chosen=chosen,
        sites=site_choices(sites, plans[chosen], moved),
        trials=trials,
        asr=outcome.asr,
        sia=outcome.sia,
        fpr=outcome.fpr,
        quick=quick,
    )


def of_sources(clean: CleanSet, target: int, sources: Sequence[int]) -> Tensor:
    """Return which clean images [N] are of the source classes of `target`.

    Raises
    ------
    UndoorError
        There are fewer than `MIN_SOURCE_IMAGES`.
    """
    found = torch.isin(clean.labels, indices(sources, clean.labels.device))
    if int(found.sum()) < MIN_SOURCE_IMAGES:
        raise UndoorError(
            f"expected {MIN_SOURCE_IMAGES} clean images or more of the source classes of target "
            f"{target}, got {int(found.sum())}; give more images of classes "
            f"{', '.join(map(str, sources))}"
        )
    return found


def most_inputs(sites: Sequence[SiteInfo], capacity: Capacity | None = None) -> int:
    """Return how many clean and as many triggered inputs fit into memory at the largest site."""
    most = MAX_VALUES // (2 * max(math.prod(site.shape) for site in sites))
    return min(most, capacity.inference // ANSWERING_OF_FIT) if capacity else most


def feasible(chosen: str, plans: Mapping[str, Plan], fit: str) -> str:
    """Return the plan chosen, or the one that `fit` can do in its place."""
    return COARSEST if fit == CHANNEL_BY_CHANNEL and COARSEST in plans else chosen


def site_choices(
    sites: Sequence[SiteInfo], plan: Plan, moved: Mapping[str, float]
) -> tuple[SiteChoice, ...]:
    """Return what a repair says of the sites that `plan` corrects.

    Parameters
    ----------
    moved
        As `site_shifts` gives it.
    """
    extents = {site.name: site.extent for site in sites}
    return tuple(
        SiteChoice(name, extents[name], granularity, moved[name])
        for name, granularity in plan.items()
    )


def _plans(sites: Sequence[SiteInfo], only: str | None, fit: str) -> dict[str, Plan]:
    """Return the plans to choose from, or the one of this name.

    Not the raw input alone, where there are layers: it undoes the estimates, and nothing of a true
    trigger that stands elsewhere or looks different, which no estimate tells.
    """
    plans = candidate_plans(sites)
    if only is None:
        return {n: plan for n, plan in plans.items() if n != INPUT_ALONE or COARSEST not in plans}
    plans |= few_site_plans(sites)
    if only not in plans:
        raise UndoorError(f"expected a plan that this network has, {', '.join(plans)}, got {only}")
    if fit == CHANNEL_BY_CHANNEL and only != COARSEST:
        raise UndoorError(f"the fit {fit} corrects channels alone, expected no plan but {COARSEST}")
    return {only: plans[only]}


def bench_of(
    classifier: Classifier,
    clean: CleanSet,
    target: int,
    sources: Tensor,
    triggers: Sequence[Trigger],
    fpr: float,
    most: int,
    generator: torch.Generator,
) -> Bench:
    """Return what plans are tried on.

    Of the clean set, in random order, `most` images and at least 16, as a rule all.

    Parameters
    ----------
    sources
        [N] as `of_sources` gives it.
    most
        See `most_inputs`.
    """
    keep = shuffled(len(clean), generator, clean.labels.device)[: max(MIN_INPUTS, most)]
    return Bench(
        classifier, target, clean.images[keep], clean.labels[keep], sources[keep], triggers, fpr
    )
