"""The scan: screen every class in every family, look again at what stands out, decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from undoor.classifier import Classifier
from undoor.clean_set import Clean, CleanSet, given
from undoor.device import described
from undoor.errors import UndoorError
from undoor.families.registry import families, family_named
from undoor.identity.model import exact_identity, with_predictions
from undoor.inspect.dry_run import dry_run, near_chance
from undoor.inversion.class_directions import OwnDirections
from undoor.inversion.gradients import require_gradients
from undoor.inversion.images import split
from undoor.inversion.journalled_search import about
from undoor.inversion.logit_scale import flat, standardised
from undoor.inversion.meter import Budget, Meter
from undoor.inversion.work import Work
from undoor.journal import Journal
from undoor.progress import Progress, silent
from undoor.scan.circumstances import circumstances, now
from undoor.scan.confirm import (
    Confirmed,
    confirm,
    confirm_shared,
    drawn,
)
from undoor.scan.coverage import Coverage
from undoor.scan.decide import Thresholds, decide, is_suspect, targets_among
from undoor.scan.doubts import doubts
from undoor.scan.gaps import coverage, judged, require_acceptance
from undoor.scan.reestimate import reestimate
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.scan.screening import fill, searched
from undoor.scan.statistics import PERHAPS_A_CROWD
from undoor.scan.table import Entry, Table
from undoor.vocabulary import FULL, PARTIAL, AcceptCoverage, Verdict

# More images than this change no estimate enough to pay for the passes.
MOST_PER_CLASS = 100
# Classes that are looked at again; of any others the first evidence stands.
MOST_LOOKS = 3


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
    journal: Journal | None = None,
    progress: Progress = silent,
) -> ScanReport:
    """Search `classifier` for a backdoor with nothing but clean images.

    Screen: for each class and family, the smallest trigger that a little work finds, from all other
    classes; and the smallest patches that make one class, or all, leave their own, wherever they
    go. Look again: the classes whose triggers are far smaller than natural ones are estimated
    anew in the family that says so, beside classes that get the same effort. Decide: the families'
    p-values become one for each class, and the trigger must move held-out images of its sources.

    clean : labelled clean images, every class present; of more than 100 a class, 100 are drawn.
    budget : what the scan may cost; where it ends early, the verdict is never "clean".
    max_seconds : the same as a budget of so many seconds; one of both may be given.
    accept_graph : whether a network may be called clean whose graph holds what ordinary layers do
    not have, as the user has looked at it.
    accept_coverage : "partial" where a network may be called clean though not all families could be
    searched in it, or though the statistics were learned on another kind of network or input.
    journal : where what is found meanwhile is kept. A scan that was killed goes on from there to
    the same report; only its seconds differ.

    Raises
    ------
    UndoorError : unusable clean set or options, a model that is not finite or passes no gradients.
    """
    meter = Meter(_budget(budget, max_seconds))
    limits = thresholds or Thresholds()
    require_acceptance(accept_coverage)
    held = given(clean, classifier).balanced(MOST_PER_CLASS, seed)
    clean = held.on(classifier.device)
    generator = torch.Generator().manual_seed(seed)
    search = standardised(classifier.fast_copy(), clean.images)
    known = search.predict(clean.images) == clean.labels
    require_gradients(search, clean.images)
    own = OwnDirections.of(search, clean.images, clean.labels)
    meter.spend(len(clean))
    images = split(clean, known, generator)
    exact = exact_identity(classifier)
    kept = journal and about(journal, str(exact.sha256), held, classifier.device)
    work = Work(search, images, own, generator, meter, progress, kept)
    # Of a model that does not know these images, nothing that they say would be true.
    doubt = _unfit(search, clean, known) or flat(search, clean.images)
    found = (
        _Found("inconclusive", (doubt,)) if doubt else _search(work, limits, classifier.class_names)
    )
    never, notes = doubts(
        classifier, search, clean.images, found.findings, meter, accept_graph=accept_graph
    )
    found, covered = _covered(
        _never_clean(found, never),
        search,
        len(clean),
        started=not doubt,
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
        date=now(),
        circumstances=circumstances(
            held,
            classifier.device,
            meter.budget,
            classes=classifier.num_classes,
            alpha=limits.alpha,
            accept_graph=accept_graph,
            accept_coverage=accept_coverage,
        ),
        device=described(classifier.device),
    )


def _budget(budget: Budget | None, max_seconds: float | None) -> Budget:
    if max_seconds is None:
        return budget or Budget()
    if budget is not None:
        raise UndoorError(
            "expected a budget or max_seconds, got both; give Budget(passes=..., seconds=...)"
        )
    if not max_seconds > 0:
        raise UndoorError(f"expected max_seconds above 0, got {max_seconds}")
    return Budget(seconds=max_seconds)


@dataclass(frozen=True, eq=False)
class _Found:
    """What a search leads to, as in `ScanReport`; by family the size below which, and the score
    from which on, a trigger would have been reported; the families whose search was cut short."""

    verdict: Verdict
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    evidence: tuple[ClassEvidence, ...] = ()
    reported: dict[str, tuple[float, float]] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()


def _covered(
    found: _Found, searched_in: Classifier, images: int, *, started: bool, accepted: bool
) -> tuple[_Found, Coverage]:
    """The same as far as what was searched and calibrated carries it, and what that is."""
    verdict, covered = judged(
        found.verdict,
        coverage(
            searched_in,
            searched={item.family for item in found.evidence},
            unfinished=found.unfinished,
            started=started,
            reported=found.reported,
            per_class=images / searched_in.num_classes,
            accepted=accepted,
        ),
    )
    findings = found.findings if verdict == "backdoored" else ()
    return replace(found, verdict=verdict, findings=findings), covered


def _never_clean(found: _Found, reasons: Sequence[str]) -> _Found:
    """The same, or inconclusive where any of these reasons forbids to call a model clean."""
    if not reasons:
        return found
    if found.verdict != "clean":
        return replace(found, reasons=(*found.reasons, *reasons))
    return replace(found, verdict="inconclusive", reasons=(*reasons, *found.reasons))


def _search(work: Work, limits: Thresholds, names: Sequence[str]) -> _Found:
    """Screen, look again, decide."""
    table = Table(work.classifier)
    partly = fill(work, table)
    cuts = work.meter.cuts
    for family, targets in _looks(table, limits).items():
        if work.meter.exhausted:
            work.meter.cut()
            break
        first, ceiling = table.candidates(family), table.ceiling(family)
        table.replace(family, reestimate(work, family, targets, first, ceiling=ceiling))
    p_all = table.combined()
    doubts, suspects = _suspects(work, table, p_all, limits)
    findings = targets_among(suspects, limits, table.crowds())
    verdict, reasons = decide(
        findings,
        doubts,
        p_all.tolist(),
        names,
        limits,
        reached=table.reached,
        crowds=table.crowds(PERHAPS_A_CROWD),
    )
    missing = [family for family in searched(work.classifier) if family not in table.entries]
    if unfinished := work.meter.unfinished(missing, partly, looked=work.meter.cuts == cuts):
        if verdict == "backdoored":
            reasons = (*reasons, unfinished)
        else:
            verdict, reasons = "inconclusive", (unfinished,)
    evidence, alarms = table.all_evidence(tuple(doubts.values())), table.alarms(limits.alpha)
    reported = {f: (size, alarms[f]) for f, size in table.detectable(limits.alpha).items()}
    return _Found(verdict, reasons, findings, evidence, reported, tuple(partly))


def _looks(table: Table, limits: Thresholds) -> dict[str, list[int]]:
    """Targets that deserve a second estimate, by the family that says so."""
    p_all = table.combined()
    order = [int(t) for t in np.argsort(p_all) if p_all[t] <= limits.look_alpha][:MOST_LOOKS]
    out: dict[str, list[int]] = {}
    for target in order:
        loudest = table.loudest(target)
        if loudest and family_named(loudest[0]).moves == "target":
            out.setdefault(loudest[0], []).append(target)
    return out


def _suspects(
    work: Work, table: Table, p_all: NDArray[np.float64], limits: Thresholds
) -> tuple[dict[int, ClassEvidence], list[Finding]]:
    """The loudest evidence about each class in doubt, and those that are suspects."""
    doubts: dict[int, ClassEvidence] = {}
    suspects: list[Finding] = []
    shared: dict[str, dict[int, Confirmed]] = {}
    for target in np.flatnonzero(p_all <= limits.doubt_alpha).tolist():
        found = _to_confirm(table, target, limits)
        if found is None:
            continue
        family, entry = found
        if family_named(family).moves == "shared":
            if family not in shared:
                shared[family] = confirm_shared(work, entry.candidate, entry.targets)
            confirmed = shared[family][target]
        else:
            candidate = entry.candidate
            stand_in = family_named(family).stand_in
            if stand_in and stand_in.applies_to(work.classifier.input_shape):
                candidate = drawn(work, target, stand_in) or candidate
            confirmed = confirm(work, candidate, target)
        item = replace(entry.evidence(family, target), asr=confirmed.asr)
        doubts[target] = item
        if is_suspect(p_all[target], confirmed.asr, limits):
            suspects.append(_finding(item, target, float(p_all[target]), confirmed))
    return doubts, suspects


def _to_confirm(table: Table, target: int, limits: Thresholds) -> tuple[str, Entry] | None:
    """What speaks loudest about a class; a trigger of the input before a latent one, where its
    family says the same, since it can be seen, and corrected from the first layer on."""
    at_input = [family.name for family in families() if family.at_input]
    seen = table.loudest(target, at_input)
    if seen and seen[1].p_value <= limits.alpha:
        return seen
    return table.loudest(target)


def _finding(item: ClassEvidence, target: int, p_value: float, confirmed: Confirmed) -> Finding:
    return Finding(
        target=target,
        sources=confirmed.sources,
        family=confirmed.candidate.family,
        p_value=p_value,
        score=item.score,
        size=confirmed.candidate.size or 0.0,
        asr_on_clean_set=confirmed.asr,
        trigger=confirmed.candidate.trigger,
    )


def _unfit(search: Classifier, clean: CleanSet, known: Tensor) -> str | None:
    """A model that does not know the clean images cannot be judged by them."""
    doubt = near_chance(float(known.float().mean()), search.num_classes)
    if doubt is None:
        return None
    advice = dry_run(search, clean).advice
    return f"{doubt}; {advice}" if advice else doubt
