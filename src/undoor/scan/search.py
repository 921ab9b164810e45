"""The search of a scan: screen, look again at what stands out, decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from undoor.errors import BudgetEnded
from undoor.families.calibration import Calibration
from undoor.families.family import Family
from undoor.families.registry import family_named
from undoor.inversion.meter import Meter
from undoor.inversion.smaller import FirstLook
from undoor.inversion.work import Work
from undoor.scan.coverage import Gap
from undoor.scan.decide import Thresholds, decide, targets_among
from undoor.scan.reason import Reason, UnfinishedFacts
from undoor.scan.reestimate import reestimate
from undoor.scan.report import ClassEvidence, Finding
from undoor.scan.screening import fill, searched
from undoor.scan.statistics import PERHAPS_A_CROWD
from undoor.scan.suspects import suspects_of
from undoor.scan.table import Table
from undoor.vocabulary import BUDGET_ENDED, Cause, Verdict

# Classes whose triggers are estimated a second time; the others retain their first evidence.
MAX_LOOKS = 3


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search leads to, with fields as in `ScanReport`.

    Attributes
    ----------
    reported
        By family, the size below which, None for a margin, and the score from which on a trigger
        would have been reported.
    unfinished
        The families whose search was cut short.
    limits
        To what the search was limited from the beginning.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    findings: tuple[Finding, ...] = ()
    evidence: tuple[ClassEvidence, ...] = ()
    reported: dict[str, tuple[float | None, float]] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()
    unfinished: tuple[str, ...] = ()
    limits: tuple[Gap, ...] = ()


def search_and_decide(
    look: FirstLook, limits: Thresholds, calibration: Calibration
) -> SearchResult:
    """Screen every class in every family, estimate a second time what stands out, and decide.

    Parameters
    ----------
    look
        The model, its images and the budget; what stands out is confirmed on the full ones.
    limits
        The thresholds.
    calibration
        What natural triggers look like.
    """
    work = look.full
    table = Table(work.classifier, calibration)
    partly = fill(look, table)
    if not table.entries:
        return SearchResult("inconclusive", _unfinished(work, table, partly, looked=True))
    looked = not partly and _look_again(look, table, limits)
    p_all = table.combined()
    found = suspects_of(work, table, p_all, limits)
    findings = targets_among(found.suspects, limits, table.crowds())
    verdict, reasons = decide(
        findings,
        found.evidence,
        p_all.tolist(),
        limits,
        reached=table.reached,
        as_natural=found.as_natural,
        crowds=table.crowds(PERHAPS_A_CROWD),
    )
    looked = bool(partly) or (looked and found.complete)
    if unfinished := _unfinished(work, table, partly, looked=looked):
        if verdict == "backdoored":
            reasons = (*reasons, *unfinished)
        else:
            verdict, reasons = "inconclusive", unfinished
    evidence, sizes = (
        table.all_evidence(tuple(found.evidence.values())),
        table.detectable(limits.alpha),
    )
    reported = {f: (sizes.get(f), alarm) for f, alarm in table.alarms(limits.alpha).items()}
    return SearchResult(verdict, reasons, findings, evidence, reported, unfinished=tuple(partly))


def unsearched(families: Sequence[str], meter: Meter) -> SearchResult:
    """Return the result for a model that the budget did not suffice to search.

    Parameters
    ----------
    families
        Those that would have been searched.
    meter
        What was spent.
    """
    return SearchResult("inconclusive", budget_reasons(meter, families, ()))


def budget_reasons(
    meter: Meter,
    not_searched: Sequence[str],
    cut_short: Sequence[str],
    *,
    looked_again: bool = True,
) -> tuple[Reason, ...]:
    """Return what the budget did not suffice for as a reason; none where it sufficed.

    Parameters
    ----------
    meter
        What was spent.
    not_searched, cut_short, looked_again
        As of `UnfinishedFacts`.
    """
    if not not_searched and not cut_short and looked_again:
        return ()
    left = tuple(not_searched), tuple(cut_short), looked_again
    return (Reason(BUDGET_ENDED, UnfinishedFacts(round(meter.passes), meter.seconds, *left)),)


def _unfinished(
    work: Work, table: Table, partly: Sequence[str], *, looked: bool
) -> tuple[Reason, ...]:
    names = searched(work.classifier)
    missing = [name for name in names if name not in table.entries and name not in partly]
    return budget_reasons(work.run.meter, missing, partly, looked_again=looked)


def _look_again(look: FirstLook, table: Table, limits: Thresholds) -> bool:
    """Estimate a second time what stands out; return whether the budget sufficed."""
    try:
        for family, targets in _looks(table, limits).items():
            first, ceiling = table.candidates(family), table.ceiling(family)
            table.replace(family, reestimate(look, family, targets, first, ceiling=ceiling))
    except BudgetEnded:
        return False
    return True


def _looks(table: Table, limits: Thresholds) -> dict[str, list[int]]:
    """Return the targets to estimate a second time, by the family with the strongest evidence."""
    p_all = table.combined()
    order = [int(t) for t in np.argsort(p_all) if p_all[t] <= limits.look_alpha][:MAX_LOOKS]
    out: dict[str, list[int]] = {}
    for target in order:
        strongest = table.strongest(target)
        if strongest and _looked_at_twice(family_named(strongest[0])):
            out.setdefault(strongest[0], []).append(target)
    return out


def _looked_at_twice(family: Family) -> bool:
    """Return whether a second search tells chance from a trigger: of sizes, by what is smallest."""
    return family.moves == "target" and family.at_size is None
