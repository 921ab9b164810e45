"""Refit the corrections of a repair on inputs that its guard flagged in operation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from undoor.align.class_balance import match_mix
from undoor.align.fit import fit_corrections, unpaired
from undoor.align.flagged import FlaggedValidation, calibrate_on_flagged, choose_plan_for_flagged
from undoor.align.plans import candidate_plans, coarsest, feasible
from undoor.align.unit_activations import site_shifts
from undoor.classifier import Classifier
from undoor.clean_set import Clean, CleanSet, given
from undoor.clean_set.fit import fit_images
from undoor.device import CPU, beside, shuffled
from undoor.errors import UndoorError
from undoor.guard import guard, guarded_predictions
from undoor.inversion.journalled_search import about
from undoor.inversion.logit_scale import standardised
from undoor.inversion.meter import Budget, Meter
from undoor.inversion.work import Run
from undoor.journal import Journal
from undoor.kinds import checked
from undoor.progress import Progress, silent
from undoor.repairs.adaptation import Adaptation
from undoor.repairs.contents import TargetRepair
from undoor.repairs.record import Repair
from undoor.sites import find_sites
from undoor.target_repair import cross_validation_of, max_inputs, of_sources, site_choices
from undoor.vocabulary import FLAG

# Moments of fewer inputs are mostly noise: on the networks measured, 20 are worth it as a rule.
MIN_FLAGGED = 20
# A refit that lets more of the flagged inputs pass than this is not used: they are no triggered
# inputs of one kind, or somebody has mixed others in.
MAX_MISSED = 0.2
BATCH = 256


@checked
def adapt(
    classifier: Classifier,
    clean: Clean,
    repair: Repair,
    inputs: Tensor,
    *,
    flagged: Mapping[int, Tensor] | None = None,
    seed: int = 0,
    budget: Budget | None = None,
    max_seconds: float | None = None,
    journal: Journal | None = None,
    progress: Progress = silent,
) -> Repair:
    """Return the repair with its corrections refitted on those of `inputs` that its guard flags.

    A recovered trigger is an estimate, as a rule a fraction of the true one: it is enough to flag
    inputs that carry the true one, less so to give them their own class back. What was flagged
    carries the true trigger. So, for each target with at least `MIN_FLAGGED` flagged inputs, the
    corrections are fitted anew between clean images of the source classes and flagged inputs, in
    the same mix of classes (`undoor.align.class_balance`), which are no pairs: the fit `paired` is
    `onepass` here. The plan is chosen by what can be known without labels (`undoor.align.flagged`),
    and the guard is calibrated again for the rate that the repair was made for. With fewer, or
    where the new guard would let many of them pass, a target keeps its corrections.
    `TargetRepair.adapted` says which.

    Whoever can feed inputs takes part in the fit: see that what is flagged is what the model meets
    in operation, and keep the repair that was adapted.

    Parameters
    ----------
    clean
        As for `undoor.repair`.
    inputs
        Raw inputs [N, ...] as seen in operation, flagged or not, without labels. The more are
        flagged the better; more than fit into memory are drawn from.
    flagged
        What `flagged_inputs` gave for these inputs, where that is known.
    budget, max_seconds
        What it may cost, as for `undoor.scan`.
    journal
        Where checkpoints are written; a run that was killed, or whose budget ended, resumes from
        there and ends with the same corrections.
    progress
        Progress callback.

    Raises
    ------
    UndoorError
        The repair is another model's or names no target, there is no input, or inputs or clean set
        do not fit the model.
    """
    started = time.perf_counter()
    meter = Meter(Budget.of(budget, max_seconds))
    progress = meter.watching(progress)
    _require_targets(classifier, repair)
    repair.require_corrections("adapt")
    classifier = classifier.with_goals(repair.contract.goals)
    held = given(clean, classifier)
    clean = held.on(classifier.device)
    if flagged is None:
        flagged = flagged_inputs(classifier.counted(meter), repair, inputs, progress)
    _require_flagged(repair, flagged)
    network = classifier.fast_copy().counted(meter)
    journal = journal and about(journal, repair.fingerprint, held, classifier.device)
    facts = (repair.sha256(), seed, [flagged[item.target] for item in repair.targets])
    run = Run(
        torch.Generator().manual_seed(seed), meter, progress, journal and journal.about(*facts)
    )
    targets = tuple(
        adapt_target(
            network,
            clean,
            item,
            flagged[item.target],
            seen=len(inputs),
            fit=repair.fit,
            run=run,
        )
        for item in repair.targets
    )
    seconds = {**repair.seconds, "adapt": time.perf_counter() - started}
    return replace(repair, targets=targets, seconds=seconds)


def _require_targets(classifier: Classifier, repair: Repair) -> None:
    repair.require_model(classifier)
    if not repair.targets:
        raise UndoorError(
            "expected a repair of at least one target, got one without; there is nothing to adapt"
        )


def _require_flagged(repair: Repair, flagged: Mapping[int, Tensor]) -> None:
    missing = [item.target for item in repair.targets if item.target not in flagged]
    if missing:
        raise UndoorError(
            f"flagged: expected the flagged inputs of every target of the repair, got none of "
            f"class {missing[0]}; give what flagged_inputs returns, or leave it out"
        )


@torch.no_grad()
def flagged_inputs(
    classifier: Classifier, repair: Repair, inputs: Tensor, progress: Progress = silent
) -> dict[int, Tensor]:
    """Return, for each target of the repair, the inputs that its guard flags.

    Parameters
    ----------
    inputs
        Raw inputs [N, ...].
    progress
        Reports the batches that are done.

    Returns
    -------
    dict
        Flagged inputs [M, ...] by target.

    Raises
    ------
    UndoorError
        There is no input, or they do not fit the model.
    """
    if not len(inputs):
        raise UndoorError("expected inputs seen in operation, got none; give at least one")
    inputs, _ = fit_images(inputs, classifier, from_bytes=False)
    guarded = guard(classifier, repair, policy=FLAG).eval()
    task = guarded.original.task
    batches = inputs.split(BATCH)
    targets = torch.full((len(inputs),), -1, device=inputs.device)
    for done, batch in enumerate(batches, 1):
        labels, flagged, _ = guarded_predictions(guarded, batch)
        found = targets[(done - 1) * BATCH :][: len(batch)]
        # By this policy a flagged input is predicted as the target itself; of several, the first.
        for item in repair.targets:
            found[flagged & task.reached(labels, item.target) & (found < 0)] = item.target
        progress("looking for flagged inputs", done, len(batches))
    return {item.target: inputs[targets == item.target] for item in repair.targets}


def adapt_target(
    classifier: Classifier,
    clean: CleanSet,
    item: TargetRepair,
    flagged: Tensor,
    *,
    seen: int,
    fit: str,
    run: Run,
) -> TargetRepair:
    """Return one target's corrections refitted on `flagged` inputs [M, ...], or unchanged."""
    fitted = item.adapted.fitted if item.adapted else 0
    record = Adaptation(seen, len(flagged), MIN_FLAGGED, fitted=fitted)
    if len(flagged) < MIN_FLAGGED:
        return replace(item, adapted=record)
    sites = find_sites(classifier)
    plans = candidate_plans(sites)
    # Plans are chosen by probabilities, which are to be the same at any temperature of the model.
    standard = standardised(classifier, clean.images)
    drawn = _drawn_data(standard, clean, item, flagged, max_inputs(sites), run)
    drawn = match_mix(drawn, plans[coarsest(plans)], run.generator)
    chosen, trials, promise = choose_plan_for_flagged(drawn, plans, run.progress)
    if promise.missed > MAX_MISSED:
        return replace(item, adapted=replace(record, missed=promise.missed))
    chosen = feasible(chosen, plans, fit)
    plan = plans[chosen]
    corrections = fit_corrections(
        classifier, drawn.clean, drawn.flagged, plan, fit=unpaired(fit), progress=run.progress
    )
    moved = site_shifts(classifier, plan, item.trigger, drawn.clean, seen=drawn.flagged)
    calibration = calibrate_on_flagged(drawn.with_network(classifier), corrections)
    return replace(
        item,
        corrections={site: correction.to(CPU) for site, correction in corrections.items()},
        calibration=calibration,
        chosen=chosen,
        sites=site_choices(sites, plan, moved),
        trials=trials,
        asr=promise.missed,
        sia=None,
        fpr=promise.fpr,
        adapted=replace(record, missed=promise.missed, fitted=len(drawn.flagged), refitted=True),
        quick=False,
    )


def _drawn_data(
    classifier: Classifier,
    clean: CleanSet,
    item: TargetRepair,
    flagged: Tensor,
    limit: int,
    run: Run,
) -> FlaggedValidation:
    """Return up to `limit` clean and flagged inputs in a random order.

    Inputs that came one after the other may be alike.
    """
    sources = of_sources(clean, item.target, item.sources, classifier.task)
    limit = max(MIN_FLAGGED, limit)
    wanted = item.calibration.wanted
    bench = cross_validation_of(
        classifier, clean, item.target, sources, (), wanted, limit, run.generator
    )
    bench = replace(bench, journal=run.journal, meter=run.meter)
    chosen = shuffled(len(flagged), run.generator, flagged.device)[:limit]
    return FlaggedValidation.of(bench, *beside(clean.images, flagged[chosen]))
