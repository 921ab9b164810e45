"""The repair of one target: estimate triggers, choose sites and granularity, fit, calibrate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from undoor.align.cross_validation import CrossValidation
from undoor.align.estimates import Estimates, estimate
from undoor.align.fit import Plan
from undoor.align.plans import feasible, plans_to_try
from undoor.align.select import calibrate_guard, choose_plan, fit_to
from undoor.align.unit_activations import site_shifts
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.device import CPU, indices, shuffled
from undoor.errors import UndoorError
from undoor.families.registry import find_family
from undoor.inversion.capacity import ANSWERING_OF_FIT
from undoor.inversion.logit_scale import standardised
from undoor.inversion.meter import Meter
from undoor.journal import Journal
from undoor.passes import Capacity
from undoor.progress import Progress
from undoor.repairs.contents import SiteChoice, TargetRepair
from undoor.scan.report import ClassEvidence, Finding
from undoor.sites import SiteInfo, find_sites
from undoor.triggers import Trigger
from undoor.vocabulary import DEFAULT_FIT

# Every site sees the clean and the triggered maps of all images at once; more images than fit
# into this many values at the largest site add little to moments of a unit.
MAX_VALUES = 100_000_000
MIN_SOURCE_IMAGES = 4
MIN_INPUTS = 16


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
    """Fit corrections for one finding, and calibrate the guard for them.

    Parameters
    ----------
    classifier
        Counted by `meter`.
    clean
        Clean images of all classes.
    finding
        What the scan reported.
    evidence
        Of the scan that made the finding.
    generator
        The source of chance, on the CPU.
    meter
        What counts the passes; its budget may end.
    progress
        Progress callback.
    fit, fpr, plan, quick, journal
        As of `undoor.repair`.

    Raises
    ------
    UndoorError
        There are too few images of the source classes, or the network has no such plan.
    BudgetEnded
        Before the target was corrected.
    """
    sources = of_sources(clean, finding.target, finding.sources)
    sites = find_sites(classifier)
    plans = plans_to_try(sites, plan, fit)
    if quick:
        estimates = Estimates((finding.trigger,), None)
        coarsest = next(iter(plans))
        plans = {coarsest: plans[coarsest]}
    else:
        search = standardised(classifier, clean.images)
        estimates = estimate(
            search, clean, finding, evidence, sources, generator, meter, progress, journal
        )
    limit = max_inputs(sites, classifier.capacity)
    validation = cross_validation_of(
        classifier, clean, finding.target, sources, estimates.triggers, fpr, limit, generator
    )
    validation = replace(validation, fitted_on=estimates.change, held_out=estimates.held_out)
    validation = replace(validation, journal=journal, meter=meter)
    validation = validation.smaller() if quick else validation
    family = find_family(finding.family)
    fit_of_family = (family and family.in_repair.fit) or DEFAULT_FIT
    fit = fit_of_family if fit == DEFAULT_FIT else fit
    chosen, trials, outcome = choose_plan(validation, plans, fit_of_family, progress)
    x = validation.x[validation.sources]
    chosen = feasible(chosen, plans, fit)
    corrections = fit_to(
        classifier, validation.change, x, plans[chosen], fit=fit, progress=progress
    )
    moved = site_shifts(classifier, plans[chosen], validation.triggers[0], x)
    calibration = calibrate_guard(validation, corrections)
    return TargetRepair(
        target=finding.target,
        sources=finding.sources,
        trigger=validation.triggers[0],
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
    """Return which clean images [N] are of the source classes of a target.

    Parameters
    ----------
    clean
        Clean images of all classes.
    target
        The class that the trigger leads to.
    sources
        The classes whose images it moves.

    Raises
    ------
    UndoorError
        There are fewer than `MIN_SOURCE_IMAGES`.
    """
    found = torch.isin(clean.labels, indices(sources, clean.labels.device))
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
        SiteChoice(name, extents[name], granularity, moved[name])
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
