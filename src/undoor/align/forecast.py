"""How many sample passes a repair takes at most, known before any of them."""

from __future__ import annotations

from collections.abc import Sequence

from undoor.align.cross_validation import ENOUGH_FOR_CHANNELS, ENOUGH_JUDGED, FOLDS
from undoor.align.estimates import SCHEDULE, STARTS_PER_FAMILY, control_families, families_tried
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.families.registry import families, family_named
from undoor.inversion.cell_search import passes_of_cells, searches_of
from undoor.inversion.patch_starts import NEAR, square_passes
from undoor.scan.report import ScanReport

# Of a fit, the source images go through the network with and without the trigger, forward alone.
BOTH = 2


def passes_of_repair(
    classifier: Classifier,
    clean: CleanSet,
    report: ScanReport | None,
    *,
    plans: int,
    quick: bool,
) -> float:
    """Estimate the sample passes of a repair; as a rule it takes no more.

    Parameters
    ----------
    classifier, clean, report
        As of `undoor.repair`; without a report, one target that all other classes are moved to.
    plans
        How many plans are tried for each target.
    quick
        Whether the scan's trigger, one plan, one fold and few source images suffice.

    Returns
    -------
    float
        Sample passes, without the search for targets that the report does not name.
    """
    total = 0.0
    for tried, sources in _targets(classifier, clean, report):
        if not quick:
            total += _of_estimates(classifier, tried, sources)
        total += _of_plans(len(clean), sources, 1 if quick else plans, quick=quick)
    return total


def _targets(
    classifier: Classifier, clean: CleanSet, report: ScanReport | None
) -> list[tuple[tuple[str, ...], int]]:
    """Return families to estimate the trigger in, and number of source images, per target."""
    space = classifier.space
    if report is None:
        usual = next(family.name for family in families() if family.reaches_any)
        others = len(clean) - len(clean) // classifier.num_classes
        return [((usual, *control_families(space)), others)]
    return [
        (
            families_tried(finding, report.evidence, space)[1],
            int(classifier.task.among(clean.labels, finding.sources).sum()),
        )
        for finding in report.findings
    ]


def _of_estimates(classifier: Classifier, tried: Sequence[str], sources: int) -> float:
    """Return the passes of `undoor.align.estimates.estimate` for one finding."""
    total = 0.0
    for name in tried:
        if searched := searches_of(family_named(name)):
            total += passes_of_cells(classifier, searched, sources)
            continue
        places = family_named(name).places_in(classifier.space)
        starts = STARTS_PER_FAMILY if places is None else STARTS_PER_FAMILY + 1
        total += SCHEDULE.passes(starts, 1) + starts * sources / 2
        total += square_passes(classifier, places, NEAR, 1) if places else 0.0
    return total


def _of_plans(images: int, sources: int, plans: int, *, quick: bool) -> float:
    """Return the passes of trying so many plans, fitting one and calibrating the guard."""
    fitted = min(sources, ENOUGH_FOR_CHANNELS) if quick else sources
    folds = 1 if quick else FOLDS
    target = max(0, images - sources)
    judged = min(fitted, ENOUGH_JUDGED) + target
    trial = BOTH * fitted / FOLDS + judged
    return (plans * folds * trial + BOTH * fitted + judged + 2 * target) / 2
