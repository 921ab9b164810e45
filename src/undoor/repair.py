"""Close the backdoors that a scan found: choose where and how to correct, fit, calibrate."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Sequence

import torch

from undoor.align.fit import fit_version, require_fit
from undoor.align.forecast import passes_of_repair
from undoor.align.guard_threshold import check_fpr
from undoor.align.plans import plans_to_try
from undoor.align.trial import Trial
from undoor.black_boxes import black_box_in
from undoor.cell_repair import repair_cells
from undoor.classifier import Classifier
from undoor.clean_set import Clean, CleanSet, given
from undoor.contract import Contract
from undoor.errors import UndoorError
from undoor.identity.model import ModelIdentity, identify
from undoor.inversion.journalled_search import about
from undoor.inversion.meter import Budget, Meter
from undoor.inversion.work import Run
from undoor.journal import Journal
from undoor.kinds import checked
from undoor.progress import Progress, silent
from undoor.repairs.contents import SiteChoice, TargetRepair
from undoor.repairs.record import Repair
from undoor.scan.extra_targets import most_suspicious, require_targets, with_targets
from undoor.scan.report import ScanReport
from undoor.scrutiny import GraphWarning, scrutinise
from undoor.sites import find_sites, require_repairable
from undoor.target_repair import FitOptions, repair_target
from undoor.vocabulary import DEFAULT_FIT, DEFAULT_FPR, REPLACED_CELLS

__all__ = ["Repair", "SiteChoice", "TargetRepair", "Trial", "repair"]


@checked
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
    """Correct a classifier for every target that a scan reported.

    For each target: estimate a few more triggers, choose sites and granularity by
    cross-validation over images and triggers, fit on all source images, calibrate the guard. No
    test result, true trigger or trigger family is used.

    A model without layers, as decision trees are, is not corrected (`undoor.cell_repair`): the
    repair holds the ranges of the triggers' cells, by which the guard flags rows.

    Parameters
    ----------
    classifier
        The model.
    clean
        Labelled clean images, every class present.
    report
        Of a scan of the model.
    fit
        "paired", "onepass", "paper" or "reference" (or another of `fits()`). The plan is chosen
        with `paired`; `reference` corrects all layers per channel.
    fpr
        The false-positive rate, above 0 and below 1, that is allowed on clean inputs of a target
        that are predicted as it; what the clean set can guarantee is in `TargetRepair.calibration`.
    plan
        The name of one of `candidate_plans` or `few_site_plans`, which is then taken without
        cross-validation against others.
    force_targets
        Classes to repair as well, whatever the scan reported; a trigger of each is searched for.
    suspects
        How many of the classes that stand out most to repair, the scan's targets among them. The
        verdict stays that of the scan.
    quick
        Fit on 150 source images with the scan's trigger, per channel unless there is a `plan`, in
        seconds instead of about a minute. Less is recovered of patterns over the whole image, which
        no single estimate shows, and of triggers that were found inside the network.
    budget, max_seconds
        What the repair may take, beside the scan, as for `undoor.scan`.
    journal
        Where checkpoints are written; a repair that was killed, or whose budget ended, resumes from
        there and ends with the same corrections.
    progress
        Progress callback.

    Returns
    -------
    Repair
        Corrections for every target; none where the report names none.

    Warns
    -----
    GraphWarning
        What the network's graph holds that ordinary layers do not have, and where its predictions
        depend on how it is run: whatever is hidden behind that is not repaired.

    Raises
    ------
    UndoorError
        `fpr` is out of range, the report is of another model, the network has no such plan, the
        clean set does not fit the model, or no trigger moves images to a class of `force_targets`.
    BudgetEnded
        Before the last target was corrected; there is no partial repair.
    """
    started = time.perf_counter()
    meter = Meter(Budget.of(budget, max_seconds))
    progress = meter.watching(progress)
    check_fpr(fpr)
    _check(classifier, report, fit, plan)
    classifier = classifier.with_goals(report.goals)
    wanted = (*require_targets(classifier, force_targets), *most_suspicious(report, suspects))
    held = given(clean, classifier)
    clean = held.on(classifier.device)
    network = classifier.fast_copy().counted(meter)
    _warn_of_graph(classifier.counted(meter), clean, meter)
    identity = _identity(classifier, report)
    journal = journal and about(journal, str(identity.sha256), held, classifier.device)
    report = with_targets(
        network, clean, report, wanted, meter=meter, seed=seed, journal=journal, progress=progress
    )
    alone = black_box_in(network) is not None
    options = FitOptions(fit, fpr, plan, quick)
    if not alone:
        plans = len(plans_to_try(find_sites(network), plan, fit))
        meter.expected = meter.passes + passes_of_repair(
            network, clean, report, plans=plans, quick=quick
        )
    facts = (fit, fit_version(fit), fpr, plan, quick, seed, _facts_of(report))
    run = Run(
        torch.Generator().manual_seed(seed), meter, progress, journal and journal.about(*facts)
    )
    targets = tuple(
        repair_cells(network, clean, finding, fpr, run)
        if alone
        else repair_target(network, clean, finding, report.evidence, options, run)
        for finding in report.findings
    )
    seconds = {"scan": report.seconds, "align": time.perf_counter() - started}
    return Repair(
        verdict=report.verdict,
        targets=targets,
        fit=REPLACED_CELLS if alone else fit,
        fingerprint=str(identity.sha256),
        contract=Contract.of(classifier),
        seconds=seconds,
        identity=identity,
    )


def _warn_of_graph(classifier: Classifier, clean: CleanSet, meter: Meter) -> None:
    """Warn of what `undoor.scrutiny` finds in the network, at the line that called `repair`."""
    odd = scrutinise(classifier, clean.images).sentences
    # What was taken for an error of the network may have been the end of the budget.
    meter.require_left()
    if odd:
        text = f"{'; '.join(odd)}; what is hidden behind this is not repaired"
        warnings.warn(text, GraphWarning, stacklevel=4)


def _identity(classifier: Classifier, report: ScanReport) -> ModelIdentity:
    """Return the identity in the report, which was compared with the classifier's.

    Computed anew where the report holds that of the weights alone.
    """
    if report.identity is None or report.identity.sha256 is None:
        return identify(classifier)
    return report.identity


def _facts_of(report: ScanReport) -> str:
    """Return all of a report that a repair depends on: its targets and its evidence.

    Not when it was made, in what time and with what budget: a repair whose budget ended resumes
    after a scan that was repeated, and found the same.
    """
    document = report.to_json()
    return json.dumps([document["targets"], document["evidence"]])


def _check(classifier: Classifier, report: ScanReport, fit: str, plan: str | None) -> None:
    require_fit(fit)
    report.require_model(classifier)
    require_repairable(classifier)
    if black_box_in(classifier) is None:
        plans_to_try(find_sites(classifier), plan, fit)
    elif plan is not None:
        raise UndoorError(
            f"expected no plan for a model without layers, which are not corrected, got {plan!r}; "
            "leave it out"
        )
