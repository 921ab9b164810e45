"""The repair of one target: estimate triggers, choose sites and granularity, fit, calibrate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from undoor.align.cross_validation import CrossValidation
from undoor.align.estimates import Estimates, estimate
from undoor.align.fit import Plan
from undoor.align.left_out import granularity_of
from undoor.align.plans import coarsest, feasible, plans_to_try
from undoor.align.select import calibrate_guard, choose_plan, fit_to
from undoor.align.unit_activations import site_shifts
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import CPU, shuffled
from undoor.errors import UndoorError
from undoor.families.registry import find_family
from undoor.inversion.capacity import ANSWERING_OF_FIT
from undoor.inversion.logit_scale import standardised
from undoor.inversion.work import Run
from undoor.passes import Capacity
from undoor.repairs.contents import SiteChoice, TargetRepair
from undoor.scan.report import ClassEvidence, Finding
from undoor.sites import SiteInfo, find_sites
from undoor.tasks.task import Task
from undoor.triggers import Trigger
from undoor.vocabulary import DEFAULT_FIT, DEFAULT_FPR

# Every site sees the clean and the triggered maps of all images at once; more images than fit
# into this many values at the largest site add little to moments of a unit.
MAX_VALUES = 100_000_000
MIN_SOURCE_IMAGES = 4
MIN_INPUTS = 16


@dataclass(frozen=True)
class FitOptions:
    """How corrections are chosen, fitted and calibrated.

    Attributes
    ----------
    fit, fpr, plan, quick
        As of `undoor.repair`.
    """

    fit: str = DEFAULT_FIT
    fpr: float = DEFAULT_FPR
    plan: str | None = None
    quick: bool = False

    def plans(self, sites: Sequence[SiteInfo]) -> dict[str, Plan]:
        """Return the plans to choose from, by name."""
        plans = plans_to_try(sites, self.plan, self.fit)
        return {name: plans[name] for name in [coarsest(plans)]} if self.quick else plans


def repair_target(
    classifier: Classifier,
    clean: CleanSet,
    finding: Finding,
    evidence: Sequence[ClassEvidence],
    options: FitOptions,
    run: Run,
) -> TargetRepair:
    """Fit corrections for one finding, and calibrate the guard for them.

    Parameters
    ----------
    classifier
        Counted by the meter of `run`.
    clean
        Clean images of all classes.
    finding
        What the scan reported.
    evidence
        Of the scan that made the finding.
    options
        How corrections are chosen and fitted.
    run
        The source of chance, the budget, the progress and the journal.

    Raises
    ------
    UndoorError
        There are too few images of the source classes, or the network has no such plan.
    BudgetEnded
        Before the target was corrected.
    """
    sources = of_sources(clean, finding.target, finding.sources, classifier.task)
    sites = find_sites(classifier)
    plans = options.plans(sites)
    validation = _validation(classifier, clean, finding, evidence, sources, options, run)
    family = find_family(finding.family)
    fit_of_family = (family and family.in_repair.fit) or DEFAULT_FIT
    fit = fit_of_family if options.fit == DEFAULT_FIT else options.fit
    chosen, trials, outcome = choose_plan(validation, plans, fit_of_family, run.progress)
    x = validation.x[validation.sources]
    chosen = feasible(chosen, plans, fit)
    plan = plans[chosen]
    corrections = fit_to(classifier, validation.change, x, plan, fit=fit, progress=run.progress)
    moved = site_shifts(classifier, plan, validation.triggers[0], x)
    return TargetRepair(
        target=finding.target,
        sources=finding.sources,
        trigger=validation.triggers[0],
        corrections={name: item.to(CPU) for name, item in corrections.items()},
        calibration=calibrate_guard(validation, corrections),
        chosen=chosen,
        sites=site_choices(sites, plan, moved),
        trials=trials,
        asr=outcome.asr,
        sia=outcome.sia,
        fpr=outcome.fpr,
        quick=options.quick,
    )


def _validation(
    classifier: Classifier,
    clean: CleanSet,
    finding: Finding,
    evidence: Sequence[ClassEvidence],
    sources: Tensor,
    options: FitOptions,
    run: Run,
) -> CrossValidation:
    """Return what plans are tried on: clean images, and estimates of the trigger."""
    estimates = (
        Estimates((finding.trigger,), None)
        if options.quick
        else estimate(
            standardised(classifier, clean.images), clean, finding, evidence, sources, run
        )
    )
    limit = max_inputs(find_sites(classifier), classifier.capacity)
    drawn = cross_validation_of(
        classifier,
        clean,
        finding.target,
        sources,
        estimates.triggers,
        options.fpr,
        limit,
        run.generator,
    )
    whole = replace(
        drawn,
        fitted_on=estimates.change,
        held_out=estimates.held_out,
        journal=run.journal,
        meter=run.meter,
    )
    return whole.smaller() if options.quick else whole


def of_sources(clean: CleanSet, target: int, sources: Sequence[int], task: Task) -> Tensor:
    """Return which clean images [N] are of the source classes of a target.

    Parameters
    ----------
    clean
        Clean images of all classes.
    target
        The class that the trigger leads to.
    sources
        The classes whose images it moves.
    task
        What the labels mean.

    Raises
    ------
    UndoorError
        There are fewer than `MIN_SOURCE_IMAGES`.
    """
    found = task.among(clean.labels, sources) & ~task.reached(clean.labels, target)
    if int(found.sum()) < MIN_SOURCE_IMAGES:
        raise UndoorError(
            f"expected at least {MIN_SOURCE_IMAGES} clean images of the source classes of target "
            f"{target}, got {int(found.sum())}; give more images of classes "
            f"{', '.join(map(str, sources))}"
        )
    return found


def max_inputs(sites: Sequence[SiteInfo], capacity: Capacity | None = None) -> int:
    """Return how many clean and as many triggered inputs fit into memory at the largest site.

    Parameters
    ----------
    sites
        Of the network.
    capacity
        How many inputs may be in the network at a time; None does not limit them.
    """
    limit = MAX_VALUES // (2 * max(math.prod(site.shape) for site in sites))
    return min(limit, capacity.inference // ANSWERING_OF_FIT) if capacity else limit


def site_choices(
    sites: Sequence[SiteInfo], plan: Plan, moved: Mapping[str, float]
) -> tuple[SiteChoice, ...]:
    """Describe the sites that a plan corrects, for the repair.

    Parameters
    ----------
    sites
        Of the network.
    plan
        Site name to granularity.
    moved
        By site, how far the trigger moves its channels, as of `site_shifts`.
    """
    extents = {site.name: site.extent for site in sites}
    return tuple(
        SiteChoice(name, extents[name], granularity_of(granularity), moved[name])
        for name, granularity in plan.items()
    )


def cross_validation_of(
    classifier: Classifier,
    clean: CleanSet,
    target: int,
    sources: Tensor,
    triggers: Sequence[Trigger],
    fpr: float,
    limit: int,
    generator: torch.Generator,
) -> CrossValidation:
    """Draw the clean images that plans are tried on, as a rule all, in random order.

    Parameters
    ----------
    classifier
        The network.
    clean
        Clean images of all classes.
    target
        The class that the triggers lead to.
    sources
        [N], as of `of_sources`.
    triggers
        The estimates of one trigger.
    fpr
        The false-positive rate that is allowed, in (0, 1).
    limit
        The maximum of images, as of `max_inputs`; `MIN_INPUTS` are taken at least.
    generator
        The source of chance, on the CPU.
    """
    keep = shuffled(len(clean), generator, clean.labels.device)[: max(MIN_INPUTS, limit)]
    return CrossValidation(
        classifier, target, clean.images[keep], clean.labels[keep], sources[keep], triggers, fpr
    )
