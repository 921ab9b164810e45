"""More estimates of one trigger, and what corrections are fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from undoor.align.strengthened import Strengthened, strengthened
from undoor.classifier import ENTRY, Classifier
from undoor.clean_set import CleanSet
from undoor.families.registry import families, family_named, find_family
from undoor.families.schedules import Schedule
from undoor.inversion.candidates import Search
from undoor.inversion.cell_search import further_cells, searches_of
from undoor.inversion.starts import started
from undoor.inversion.triggered import Change, triggered
from undoor.inversion.work import Run, Work, work_alone
from undoor.scan.report import ClassEvidence, Finding
from undoor.spaces.space import Extent, Space
from undoor.triggers import Trigger

MIN_ASR = 0.5
STARTS_PER_FAMILY = 2
SCHEDULE = Schedule(steps=120, batch=24, success=0.97)
# A family in which the target stands out with at most this p-value shows the backdoor too.
TELLING = 0.05
MIN_FOR_HELD_OUT = 3


@dataclass(frozen=True, eq=False)
class InTurn:
    """Several changes of the raw input, applied to the rows in turn, always in the same order."""

    changes: Sequence[Change]
    site: str = ENTRY

    def __call__(self, x: Tensor) -> Tensor:
        """Return inputs x [n, ...], each changed."""
        out = x.clone()
        for index, change in enumerate(self.changes):
            out[index :: len(self.changes)] = change(x[index :: len(self.changes)])
        return out


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One family held out of those that corrections are fitted on.

    Attributes
    ----------
    triggers
        Its triggers, which plans are judged with.
    others
        The change of all other families, which they are fitted on.
    """

    triggers: Sequence[Trigger]
    others: Change


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of one trigger.

    Attributes
    ----------
    triggers
        What plans are judged with, the finding's trigger first.
    change
        What plans are fitted on; None for the first trigger.
    held_out
        Each family that plans are fitted on, held out; empty where these are few.
    """

    triggers: tuple[Trigger, ...]
    change: Change | None
    held_out: tuple[HeldOut, ...] = ()


def estimate(
    classifier: Classifier,
    clean: CleanSet,
    finding: Finding,
    evidence: Sequence[ClassEvidence],
    sources: Tensor,
    run: Run,
) -> Estimates:
    """Estimate the trigger of a finding several times.

    In the finding's family and in all others at the input in which its target stands out: each
    shows another side of one backdoor, and none is the true trigger. What was found as a shift
    inside the network is drawn at the input as well: corrections behind the shift alone leave what
    the trigger does in front of it.

    Parameters
    ----------
    classifier
        The network, counted by the meter of `run`.
    clean
        Clean images of all classes.
    finding
        What the scan found.
    evidence
        The evidence of the scan.
    sources
        [N], which images of `clean` are of the finding's source classes.
    run
        The source of chance, the budget, the progress, and the journal of the searches.
    """
    extent = classifier.extent
    telling, tried = families_tried(finding, evidence, classifier.space)
    found = {finding.family: [finding.trigger]}
    work = work_alone(classifier, clean, run)
    pool = sources.nonzero()[:, 0]
    for family in tried:
        for trigger in _further(work, finding, evidence, family, pool):
            predicted = triggered(classifier, trigger).predict(clean.images[pool])
            moved = classifier.task.reached(predicted, finding.target)
            if float(moved.float().mean()) >= MIN_ASR:
                found.setdefault(family, []).append(trigger)
    everything = tuple(trigger for same in found.values() for trigger in same)
    # Where the finding stands out in no family, it is not known which of them shows the trigger.
    sure = telling if finding.p_value <= TELLING else tried
    fitted_on = [found[family] for family in sure if family in found]
    return Estimates(everything, together(fitted_on, extent), held_out(fitted_on, extent))


def _further(
    work: Work, finding: Finding, evidence: Sequence[ClassEvidence], family: str, pool: Tensor
) -> list[Trigger]:
    """Return further triggers of one family: estimated anew, or what the finding stands for."""
    record = family_named(family)
    if relatives := record.relatives:
        return list(relatives(finding.trigger))
    if searched := searches_of(record):
        shown = {
            item.family
            for item in evidence
            if item.target == finding.target and item.p_value <= TELLING
        }
        telling = [each for each in searched if each.name in shown]
        return further_cells(work, telling or searched, finding.target)
    starts = started(work, Search(finding.target, pool), family, STARTS_PER_FAMILY)
    return [candidate.trigger for candidate in work.invert(starts, family, SCHEDULE)]


def families_tried(
    finding: Finding, evidence: Sequence[ClassEvidence], space: Space
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the families that show a finding, and those to estimate its trigger in.

    Parameters
    ----------
    finding, evidence
        What the scan found.
    space
        What an input is; only families that apply to it are named.

    Returns
    -------
    tuple of tuples of str
        The first as of `families_telling`.
    """
    telling = tuple(
        family
        for family in families_telling(finding, evidence)
        if family_named(family).applies_to(space)
    )
    tried = telling if len(telling) > 1 else (finding.family, *control_families(space))
    return telling, tuple(dict.fromkeys(tried))


def families_telling(finding: Finding, evidence: Sequence[ClassEvidence]) -> tuple[str, ...]:
    """Return the families that show a finding, its own first.

    Beside it those at the input in which its target stands out, or that can draw what was found
    inside the network; none where others make its corrections worse.
    """
    first = family_named(finding.family)
    if first.in_repair.alone:
        return (first.name,)
    at_input = {f.name: f for f in families() if f.at_input and f.moves == "target"}
    seen = {
        family_named(item.family).candidates.name
        for item in evidence
        if item.target == finding.target
        and item.source is None
        and item.family in at_input
        and item.p_value <= TELLING
    }
    wider = {name: family.covered_by for name, family in at_input.items() if family.covered_by}
    seen -= {name for name, each in wider.items() if each.name in (finding.family, *seen)}
    others = [name for name in at_input if name in seen]
    drawn = [first.stand_in.name] if first.stand_in else []
    return tuple(dict.fromkeys((finding.family, *drawn, *others)))


def control_families(space: Space) -> list[str]:
    """Return the families to test corrections with where one family alone shows the backdoor."""
    return [f.name for f in families() if f.in_repair.control and f.applies_to(space)]


def together(families: Sequence[Sequence[Trigger]], extent: Extent) -> Change | None:
    """Return one change of the raw input that applies the estimates of several families.

    Parameters
    ----------
    families
        The triggers of each, the finding's first.
    extent
        How large an input is.

    Returns
    -------
    Change or None
        Each family gets the same share of the rows; None where there is one trigger alone to fit
        on.
    """
    changes = [change for _, change in _at_input(families, extent)]
    known = [find_family(same[0].family) for same in families]
    several = any(family and (family.relatives or family.in_repair.in_turn) for family in known)
    if len(families) == 1 and not several and not any(isinstance(e, Strengthened) for e in changes):
        return None
    return changes[0] if len(changes) == 1 else InTurn(changes)


def held_out(families: Sequence[Sequence[Trigger]], extent: Extent) -> tuple[HeldOut, ...]:
    """Return each of at least three families at the input, held out of the others.

    Of two, the remaining one shows too little of the trigger to judge plans by.

    Parameters
    ----------
    families, extent
        As of `together`.
    """
    at_input = _at_input(families, extent)
    if len(at_input) < MIN_FOR_HELD_OUT:
        return ()
    return tuple(
        HeldOut(same, InTurn([change for other, change in at_input if other is not same]))
        for same, _ in at_input
    )


def _at_input(
    families: Sequence[Sequence[Trigger]], extent: Extent
) -> list[tuple[Sequence[Trigger], Change]]:
    """Return the families at the input, each with the change that stands for its triggers."""
    return [
        (same, strengthened(same, extent) or InTurn(same))
        for same in families
        if same[0].site == ENTRY
    ]
