"""Which of the classes that stand out are targets: their triggers, grown until they work."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from undoor.errors import BudgetEnded
from undoor.families.registry import families, family_named
from undoor.inversion.work import Work
from undoor.scan.combination import interval
from undoor.scan.confirm import Confirmed, confirm, confirm_shared, drawn, shrunk, tried
from undoor.scan.decide import Thresholds, is_suspect
from undoor.scan.report import ClassEvidence, Finding
from undoor.scan.table import Table, TableEntry


@dataclass(eq=False)
class Suspicion:
    """What is known about the classes in doubt.

    Attributes
    ----------
    evidence
        The strongest evidence about each of them.
    suspects
        The findings of those that are called targets if no other keeps them from it.
    as_natural
        Those whose trigger works only where it is as large as natural ones.
    complete
        Whether the budget sufficed to confirm them all.
    """

    evidence: dict[int, ClassEvidence] = field(default_factory=dict)
    suspects: list[Finding] = field(default_factory=list)
    as_natural: set[int] = field(default_factory=set)
    complete: bool = True


def suspects_of(
    work: Work, table: Table, p_all: NDArray[np.float64], limits: Thresholds
) -> Suspicion:
    """Confirm the classes in doubt.

    Parameters
    ----------
    work
        The model, its images and the budget.
    table
        The candidates of all families.
    p_all
        The p-value of every class [K] over all families.
    limits
        The thresholds.

    """
    out = Suspicion()
    shared: dict[str, dict[int, Confirmed]] = {}
    intervals = interval(p_all, table.calibration.lowest).tolist()
    for target in np.flatnonzero(p_all <= limits.doubt_alpha).tolist():
        for family, entry in _to_confirm(table, target, limits):
            try:
                confirmed = _confirmed(work, family, entry, target, shared)
            except BudgetEnded:
                out.complete = False
                return out
            item = replace(entry.evidence(family, target), asr=confirmed.asr)
            out.evidence[target] = item
            if family_named(family).moves == "source" and table.is_natural(confirmed.candidate):
                # A few images of one class leave it under a tiny patch in many clean networks.
                out.as_natural.add(target)
                continue
            out.as_natural.discard(target)
            if is_suspect(p_all[target], confirmed.asr, limits):
                low, high = intervals[target]
                p_value = float(p_all[target])
                out.suspects.append(_finding(item, target, p_value, (low, high), confirmed))
            break
    _leave_one_of_each(work, out)
    return out


def _leave_one_of_each(work: Work, found: Suspicion) -> None:
    """Leave out the suspects that one trigger leads to beside a clearer one, and their evidence.

    Goals may overlap, as intervals of a number do.
    """
    overlap = work.classifier.task.overlap
    kept: list[Finding] = []
    for finding in sorted(found.suspects, key=lambda each: (each.p_value, -(each.margin or 0.0))):
        if not any(overlap(finding.target, other.target) for other in kept):
            kept.append(finding)
    beside = {
        target
        for target in found.evidence
        if any(target != each.target and overlap(target, each.target) for each in kept)
    }
    found.suspects = [finding for finding in found.suspects if finding in kept]
    found.evidence = {t: item for t, item in found.evidence.items() if t not in beside}


def _confirmed(
    work: Work,
    family: str,
    entry: TableEntry,
    target: int,
    shared: dict[str, dict[int, Confirmed]],
) -> Confirmed:
    """Return a class's trigger grown until it works.

    Where a task searches at one size alone, the trigger of that size: the smallest one leads inputs
    to the edge of their goal, and not to where the attacker leads them.

    Parameters
    ----------
    shared
        By family, the triggers of several classes that were confirmed so far: each is grown once.
    """
    if family_named(family).moves == "shared":
        if family not in shared:
            shared[family] = confirm_shared(work, entry.candidate, entry.targets)
        return shared[family][target]
    candidate = entry.candidate
    if work.classifier.task.at_one_size:
        return tried(work, candidate, target)
    if family_named(family).at_size:
        candidate = shrunk(work, candidate, target)
    stand_in = family_named(family).stand_in
    if stand_in and stand_in.applies_to(work.classifier.space):
        candidate = drawn(work, target, stand_in) or candidate
    return confirm(work, candidate, target)


def _to_confirm(table: Table, target: int, limits: Thresholds) -> list[tuple[str, TableEntry]]:
    """Return the entries to confirm for a class, until one is no natural trigger.

    The one with the strongest evidence; one of a family at the input comes before a latent one
    where it is below `alpha` too: it can be shown, and corrected from the first layer on. Before a
    margin come the smallest trigger of the same kind and that by the source: from a backdoor for
    some sources the clearest trigger of one size for all classes leads to one that moves all of
    them, and is none of the attacker's.
    """
    at_input = [family for family in families() if family.at_input]
    seen = table.strongest(target, [family.name for family in at_input])
    if not seen or seen[1].p_value > limits.alpha:
        strongest = table.strongest(target)
        return [strongest] if strongest else []
    if family_named(seen[0]).at_size is None:
        return [seen]
    kind = family_named(seen[0]).candidates
    first = [
        family.name
        for family in at_input
        if family.at_size is None and (family.candidates is kind or family.moves == "source")
    ]
    found = table.strongest(target, first) if first else None
    if not found or found[1].p_value > limits.alpha:
        return [seen]
    return [found] if family_named(found[0]).candidates is kind else [found, seen]


def _finding(
    item: ClassEvidence,
    target: int,
    p_value: float,
    p_interval: tuple[float, float],
    confirmed: Confirmed,
) -> Finding:
    return Finding(
        target=target,
        sources=confirmed.sources,
        family=confirmed.candidate.family,
        p_value=p_value,
        score=item.score,
        size=confirmed.candidate.size or 0.0,
        asr_on_clean_set=confirmed.asr,
        trigger=confirmed.candidate.trigger,
        margin=item.margin,
        p_interval=p_interval,
        outcome=confirmed.outcome,
    )
