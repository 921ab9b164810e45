"""The scan: screen every class in every family, look again at what stands out, decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.progress import Progress, silent
from undoor.scan.calibration import Null, nulls
from undoor.scan.confirm import Confirmed, confirm
from undoor.scan.decide import Thresholds, decide, is_suspect
from undoor.scan.families import families_for, pixel_scale
from undoor.scan.images import split
from undoor.scan.invert import Candidate
from undoor.scan.meter import Budget, Meter
from undoor.scan.reestimate import reestimate
from undoor.scan.report import ClassEvidence, Finding, ScanReport
from undoor.scan.screen import screen
from undoor.scan.statistics import combined, needed_size, p_values, scores, without_scale

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
    images = split(clean, generator)
    search = classifier.fast_copy()
    table = _Table(search)
    families = families_for(classifier)
    for family in families:
        if meter.exhausted and table.candidates:
            break
        table.add(screen(search, images, family, generator, meter, progress))
    findings: list[Finding] = []
    for family, targets in table.looks(limits).items():
        if meter.exhausted:
            break
        first = table.candidates[family]
        ceiling = table.null(family).ceiling * pixel_scale(family, classifier.input_shape)
        again = reestimate(
            search, images, targets, first, generator, meter, progress, ceiling=ceiling
        )
        table.replace(family, again.candidates, again.sizes)
    p_all = table.combined()
    best = [table.item(table.loudest(t), t) for t in range(classifier.num_classes)]
    for target in np.flatnonzero(p_all <= limits.doubt_alpha).tolist():
        candidate = table.candidates[best[target].family][target]
        confirmed = confirm(search, images, candidate, generator, meter, progress)
        best[target] = replace(best[target], asr=confirmed.asr)
        if is_suspect(p_all[target], confirmed.asr, limits):
            findings.append(_finding(best[target], float(p_all[target]), confirmed))
    findings.sort(key=lambda finding: finding.p_value)
    verdict, reasons = decide(findings, best, p_all.tolist(), classifier.class_names, limits)
    if verdict != "backdoored" and (unfinished := _unfinished(meter, families, table)):
        verdict, reasons = "inconclusive", (unfinished,)
    if verdict == "clean" and (doubt := _unfit(search, clean)):
        verdict, reasons = "inconclusive", (doubt,)
    return ScanReport(
        verdict=verdict,
        reasons=reasons,
        findings=tuple(findings),
        evidence=table.evidence(best),
        detectable=table.detectable(limits.alpha / max(1, len(table.candidates))),
        class_names=classifier.class_names,
        fingerprint=classifier.fingerprint(),
        images=len(clean),
        seed=seed,
        seconds=meter.seconds,
        passes=round(meter.passes),
    )


class _Table:
    """The candidates of every family and class, their sizes, and what these say."""

    def __init__(self, classifier: Classifier) -> None:
        self.shape = classifier.input_shape
        self.candidates: dict[str, list[Candidate]] = {}
        self.sizes: dict[str, list[float | None]] = {}

    def add(self, candidates: Sequence[Candidate]) -> None:
        family = candidates[0].family
        self.candidates[family] = list(candidates)
        self.sizes[family] = [candidate.size for candidate in candidates]

    def replace(
        self,
        family: str,
        candidates: Mapping[int, Candidate],
        sizes: Mapping[int, float | None],
    ) -> None:
        for target, candidate in candidates.items():
            if candidate.size is not None:
                self.candidates[family][target] = candidate
                self.sizes[family][target] = sizes[target]

    def null(self, family: str) -> Null:
        null = nulls()[family]
        return null if len(self.shape) == 3 else without_scale(null, self.scaled(family))

    def scaled(self, family: str) -> list[float | None]:
        """Sizes as they would be at 32 x 32 pixels."""
        unit = pixel_scale(family, self.shape)
        return [None if size is None else size / unit for size in self.sizes[family]]

    def scores(self, family: str) -> NDArray[np.float64]:
        return scores(self.scaled(family), self.null(family))

    def p_values(self, family: str) -> NDArray[np.float64]:
        return p_values(self.scores(family), self.null(family))

    def combined(self) -> NDArray[np.float64]:
        return combined({family: self.p_values(family) for family in self.candidates})

    def looks(self, limits: Thresholds) -> dict[str, list[int]]:
        """Targets that deserve a second estimate, by the family that says so."""
        p_all = self.combined()
        order = [int(t) for t in np.argsort(p_all) if p_all[t] <= limits.look_alpha][:MOST_LOOKS]
        out: dict[str, list[int]] = {}
        for target in order:
            out.setdefault(self.loudest(target), []).append(target)
        return out

    def loudest(self, target: int) -> str:
        """The family whose p-value for this class is the lowest."""
        p = {family: float(self.p_values(family)[target]) for family in self.candidates}
        return min(p, key=lambda family: p[family])

    def item(self, family: str, target: int) -> ClassEvidence:
        candidate = self.candidates[family][target]
        return ClassEvidence(
            target=target,
            family=family,
            size=candidate.size,
            score=float(self.scores(family)[target]),
            p_value=float(self.p_values(family)[target]),
        )

    def evidence(self, known: Sequence[ClassEvidence]) -> tuple[ClassEvidence, ...]:
        """All there is, by family and class; `known` where that is the same and more."""
        more = {(item.family, item.target): item for item in known}
        return tuple(
            more.get((family, target)) or self.item(family, target)
            for family, candidates in self.candidates.items()
            for target in range(len(candidates))
        )

    def detectable(self, alpha: float) -> dict[str, float]:
        """For each family, the size below which a class would have been called a target."""
        return {
            family: needed_size(self.scaled(family), self.null(family), alpha)
            * pixel_scale(family, self.shape)
            for family in self.candidates
        }


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


def _unfinished(meter: Meter, families: Sequence[str], table: _Table) -> str | None:
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
