"""The scan: screen every class in every family, look again at what stands out, decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.progress import Progress, silent
from undoor.scan.confirm import Confirmed, confirm
from undoor.scan.decide import Thresholds, decide, is_suspect, targets_among
from undoor.scan.families import families_for
from undoor.scan.images import split
from undoor.scan.meter import Budget, Meter
from undoor.scan.reestimate import reestimate
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.scan.screen import screen
from undoor.scan.table import Table
from undoor.scan.work import Work

# More images than this change no estimate enough to pay for the passes.
MOST_PER_CLASS = 100
# Classes that are looked at again; of any others the first evidence stands.
MOST_LOOKS = 3
LEAST_ACCURACY_OVER_CHANCE = 0.2


def scan(
    classifier: Classifier,
    clean: CleanSet,
    *,
    seed: int = 0,
    thresholds: Thresholds | None = None,
    budget: Budget | None = None,
    progress: Progress = silent,
) -> ScanReport:
    """Search `classifier` for a backdoor with nothing but clean images.

    Screen: for each class and family, the smallest trigger that a little work finds, from all other
    classes. Look again: the classes whose triggers are far smaller than natural ones are estimated
    anew in the family that says so, beside classes that get the same effort. Decide: the families'
    p-values become one for each class, and the trigger must move held-out images of its sources.

    clean : labelled clean images, every class present; of more than 100 a class, 100 are drawn.
    budget : what the scan may cost; where it ends early, the verdict is never "clean".

    Raises
    ------
    UndoorError : unusable clean set, or a model that is not finite.
    """
    meter = Meter(budget or Budget())
    limits = thresholds or Thresholds()
    clean = clean.for_classifier(classifier).balanced(MOST_PER_CLASS, seed)
    generator = torch.Generator().manual_seed(seed)
    search = classifier.fast_copy()
    work = Work(search, split(clean, generator), generator, meter, progress)
    table = Table(search)
    families = families_for(classifier)
    for family in families:
        if meter.exhausted and table.candidates:
            break
        table.add(screen(work, family))
    suspects: list[Finding] = []
    for family, targets in _looks(table, limits).items():
        if meter.exhausted:
            break
        first, ceiling = table.candidates[family], table.ceiling(family)
        table.replace(family, reestimate(work, targets, first, ceiling=ceiling))
    p_all = table.combined()
    best = [table.evidence(table.loudest(t), t) for t in range(classifier.num_classes)]
    for target in np.flatnonzero(p_all <= limits.doubt_alpha).tolist():
        candidate = table.candidates[best[target].family][target]
        confirmed = confirm(work, candidate)
        best[target] = replace(best[target], asr=confirmed.asr)
        if is_suspect(p_all[target], confirmed.asr, limits):
            suspects.append(_finding(best[target], float(p_all[target]), confirmed))
    findings = targets_among(suspects, limits)
    verdict, reasons = decide(findings, best, p_all.tolist(), classifier.class_names, limits)
    if verdict != "backdoored" and (unfinished := _unfinished(meter, families, table)):
        verdict, reasons = "inconclusive", (unfinished,)
    if verdict == "clean" and (doubt := _unfit(search, clean)):
        verdict, reasons = "inconclusive", (doubt,)
    return ScanReport(
        verdict=verdict,
        reasons=reasons,
        findings=findings,
        evidence=table.all_evidence(best),
        detectable=table.detectable(limits.alpha),
        class_names=classifier.class_names,
        fingerprint=classifier.fingerprint(),
        images=len(clean),
        seed=seed,
        seconds=meter.seconds,
        passes=round(meter.passes),
    )


def _looks(table: Table, limits: Thresholds) -> dict[str, list[int]]:
    """Targets that deserve a second estimate, by the family that says so."""
    p_all = table.combined()
    order = [int(t) for t in np.argsort(p_all) if p_all[t] <= limits.look_alpha][:MOST_LOOKS]
    out: dict[str, list[int]] = {}
    for target in order:
        out.setdefault(table.loudest(target), []).append(target)
    return out


def _finding(item: ClassEvidence, p_value: float, confirmed: Confirmed) -> Finding:
    return Finding(
        target=item.target,
        sources=confirmed.sources,
        family=item.family,
        p_value=p_value,
        score=item.score,
        size=confirmed.candidate.size or 0.0,
        asr_on_clean_set=confirmed.asr,
        trigger=confirmed.candidate.trigger,
    )


def _unfinished(meter: Meter, families: Sequence[str], table: Table) -> str | None:
    """What the budget did not suffice for."""
    if not meter.exhausted:
        return None
    missing = ", ".join(family for family in families if family not in table.candidates)
    left = f" before triggers of the families {missing} were looked for" if missing else ""
    return (
        f"the budget ended after {meter.passes:,.0f} sample passes and {meter.seconds:.0f} s{left};"
        " give more"
    )


def _unfit(classifier: Classifier, clean: CleanSet) -> str | None:
    """A model that does not know the clean images cannot be called clean by them."""
    accuracy = float((classifier.predict(clean.images) == clean.labels).float().mean())
    chance = 1 / classifier.num_classes
    if accuracy >= chance + LEAST_ACCURACY_OVER_CHANCE * (1 - chance):
        return None
    return (
        f"the model answers only {accuracy:.0%} of the clean images correctly; check that labels, "
        "bounds, mean and std fit it"
    )
