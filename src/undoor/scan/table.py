"""The candidates of every family and class, with the scores and p-values of their sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from undoor.classifier import Classifier
from undoor.families.calibration import Calibration
from undoor.families.null import Null
from undoor.families.registry import family_named, judged_beside, nulls
from undoor.inversion.candidates import Candidate
from undoor.scan.combination import alone, for_classes, overall
from undoor.scan.reestimate import Reestimate
from undoor.scan.report import ClassEvidence
from undoor.scan.statistics import (
    CROWD,
    NULL_CLASSES,
    TINY,
    crowded,
    margin_scores,
    needed_score,
    needed_size,
    p_values,
    score_beside,
    scores,
    without_scale,
)

UNKNOWN = 1.0
# Of a family without a fitted null: a trigger is compared with the other classes alone.
NOTHING_LEARNED = Null(natural=0.0, ceiling=1.0, location=0.0, scale=1.0)


@dataclass(frozen=True, eq=False)
class TableEntry:
    """The result of one search.

    Attributes
    ----------
    candidate
        The trigger that was found.
    size
        As the effort of the first search finds it, so that all are comparable.
    targets
        The classes that it is evidence about: the one searched for, or those that images which left
        their class are moved to.
    source
        The class that they left, where it is one.
    score, p_value
        As of `ClassEvidence`.
    """

    candidate: Candidate
    size: float | None
    targets: tuple[int, ...]
    source: int | None = None
    score: float = 0.0
    p_value: float = UNKNOWN

    def evidence(self, family: str, target: int | None) -> ClassEvidence:
        """Return the entry as the report has it."""
        return ClassEvidence(
            family=family,
            target=target,
            source=self.source,
            size=self.size,
            score=self.score,
            p_value=self.p_value,
            margin=self.candidate.margin,
        )


class Table:
    """The candidates of every family that was searched.

    Attributes
    ----------
    calibration
        What natural triggers look like.
    nulls
        Of the families, by name.
    entries
        By family, those of the classes that were followed, in class order.
    """

    def __init__(self, classifier: Classifier, calibration: Calibration) -> None:
        self.extent, scope = classifier.extent, calibration.scope
        self.alike = (classifier.space.name, classifier.task.name) == (scope.space, scope.task)
        # What counts by itself says nothing where it was not learned.
        learned = self.alike or not (scope.absolute or classifier.task.at_one_size)
        self.nulls = nulls(calibration) if learned else {}
        self.calibration = calibration
        self.classes = classifier.num_classes
        self.entries: dict[str, list[TableEntry]] = {}

    def add(self, family: str, candidates: Sequence[Candidate]) -> None:
        """Add the first candidates of a family for targets."""
        entries = [TableEntry(c, c.size, (c.target,)) for c in candidates]
        self._judge(family, entries)

    def add_sources(
        self, family: str, candidates: Sequence[Candidate], ends: Sequence[tuple[int, ...]]
    ) -> None:
        """Add candidates that make the images of a source leave it, for the classes `ends`."""
        pairs = zip(candidates, ends, strict=True)
        self._judge(family, [TableEntry(c, c.size, end, c.target) for c, end in pairs])

    def add_shared(self, family: str, candidate: Candidate, ends: tuple[int, ...]) -> None:
        """Add the candidate that makes images of all classes leave their class.

        After those of the sources, which its size is compared with.
        """
        self._judge(family, [TableEntry(candidate, candidate.size, ends)])

    def replace(self, family: str, better: Mapping[int, Reestimate]) -> None:
        """Replace the candidates of some targets by second estimates."""
        entries = [
            entry
            if (second := better.get(entry.candidate.target)) is None
            else replace(entry, candidate=second.candidate, size=second.size)
            for entry in self.entries[family]
        ]
        self._judge(family, entries)

    @property
    def reached(self) -> bool:
        """Whether any trigger worked for any class."""
        return any(_works(e.candidate) for entries in self.entries.values() for e in entries)

    def crowds(self, times: float = CROWD) -> tuple[str, ...]:
        """Return the families in which many classes at once have unnaturally small triggers."""
        sizes = {family: self._scaled(family, self.entries[family]) for family in self._of_sizes}
        return tuple(f for f, each in sizes.items() if crowded(each, self._null(f, each), times))

    def combined(self) -> NDArray[np.float64]:
        """Return the p-value of every class [K] over all families."""
        p = {family: self._by_target(family) for family in self._calibrated}
        if not p:
            return np.full(self.classes, UNKNOWN)
        # The null of their agreement was learned with these families and no others.
        learned = self.calibration
        return overall(
            p, self.nulls, learned.agreement, learned.lowest, agreeing=learned.nulls.keys()
        )

    def strongest(self, target: int, families: Sequence[str] = ()) -> tuple[str, TableEntry] | None:
        """Return the family with the lowest p-value for a class, and its entry.

        Parameters
        ----------
        target
            The class.
        families
            Names of the families to choose from; all where none are given.

        Returns
        -------
        tuple of str and TableEntry, or None
            None where no family followed the class.
        """
        found = [
            (family, entry)
            for family, entries in self.entries.items()
            for entry in entries
            if target in entry.targets and (not families or family in families)
        ]
        return min(found, key=lambda pair: pair[1].p_value, default=None)

    def candidates(self, family: str) -> list[Candidate]:
        """Return the candidates of a family, in class order."""
        return [entry.candidate for entry in self.entries[family]]

    def all_evidence(self, known: Sequence[ClassEvidence]) -> tuple[ClassEvidence, ...]:
        """Return the evidence of all entries, with the ASR of those that are `known`."""
        asr = {
            (e.family, e.source, None if judged_beside(e.family) else e.target): e.asr
            for e in known
        }
        out = []
        for family, entries in self.entries.items():
            for entry in entries:
                target = entry.targets[0] if len(entry.targets) == 1 else None
                key = (family, entry.source, None if judged_beside(family) else target)
                out.append(replace(entry.evidence(family, target), asr=asr.get(key)))
        return tuple(out)

    def ceiling(self, family: str) -> float:
        """Return the size that stands for a class which no trigger of the family reached."""
        null = self._null(family, [entry.size for entry in self.entries[family]])
        return null.ceiling * family_named(family).growth(self.extent)

    def detectable(self, alpha: float) -> dict[str, float]:
        """Return the size by family below which a class would have had a p-value of `alpha`.

        With no evidence from the other families.
        """
        out = {}
        for family in self._of_sizes:
            beside = judged_beside(family) or family
            others = self._scaled(beside, self.entries[beside])
            null = self._null(family, self._scaled(family, self.entries[family]))
            size = needed_size(
                others,
                null,
                self._alone(family, alpha),
                self._tried(family),
                others_null=self._null(beside, others),
            )
            out[family] = size * family_named(family).growth(self.extent)
        return out

    def is_natural(self, candidate: Candidate) -> bool:
        """Return whether a trigger is as large as the smallest natural ones of its family.

        As those of other models are as a rule, of all classes but one to that one.
        """
        null = self.nulls.get(candidate.family)
        if null is None or candidate.size is None:
            return False
        return candidate.size >= null.natural * family_named(candidate.family).growth(self.extent)

    def alarms(self, alpha: float) -> dict[str, float]:
        """Return the score by family from which on a class would have had a p-value of `alpha`.

        With no evidence from the other families.
        """
        out = {}
        for family in self._calibrated:
            share = self._alone(family, alpha)
            out[family] = needed_score(self.nulls[family], share, self._tried(family))
        return out

    def _alone(self, family: str, alpha: float) -> float:
        """Return the p-value of one family that is `alpha` over all, without other evidence."""
        known = {each: self.nulls[each] for each in self._calibrated}
        learned = self.calibration
        p = alone(alpha, family, known, learned.agreement, learned.lowest, self.classes)
        return float(for_classes(np.array([p]), self._tried(family), of=self.classes)[0])

    def _judge(self, family: str, entries: Sequence[TableEntry]) -> None:
        score = self._scores(family, entries)
        null = self.nulls.get(family)
        p = np.full(len(score), UNKNOWN)
        if null is not None:
            p = p_values(score, null, self._tried(family))
        self.entries[family] = [
            replace(entry, score=float(s), p_value=float(q))
            for entry, s, q in zip(entries, score, p, strict=True)
        ]

    def _scores(self, family: str, entries: Sequence[TableEntry]) -> NDArray[np.float64]:
        if plan := family_named(family).at_size:
            null = self.nulls.get(family)
            margins = [entry.candidate.margin or 0.0 for entry in entries]
            return margin_scores(margins, plan, absolute=null is not None and null.absolute)
        sizes = self._scaled(family, entries)
        null = self._null(family, sizes)
        if beside := judged_beside(family):
            others = self._scaled(beside, self.entries[beside])
            lone = score_beside(sizes[0], others, null, self._null(beside, others))
            return np.array([TINY if sizes[0] is None else lone])
        return scores(sizes, null)

    def _tried(self, family: str) -> int:
        """Return how many classes the smallest trigger is the smallest of.

        Of a single trigger, as many as the nulls were learned from.
        """
        return NULL_CLASSES if judged_beside(family) else self.classes

    @property
    def _calibrated(self) -> list[str]:
        """The families searched that have a null."""
        return [family for family in self.entries if family in self.nulls]

    @property
    def _of_sizes(self) -> list[str]:
        """Those of them that search for the smallest trigger."""
        return [family for family in self._calibrated if family_named(family).at_size is None]

    def _by_target(self, family: str) -> NDArray[np.float64]:
        out = np.full(self.classes, UNKNOWN)
        for entry in self.entries[family]:
            for target in entry.targets:
                out[target] = min(out[target], entry.p_value)
        return out

    def _null(self, family: str, sizes: Sequence[float | None]) -> Null:
        null = self.nulls.get(family)
        if null is not None and self.alike:
            return null
        return without_scale(null or NOTHING_LEARNED, sizes)

    def _scaled(self, family: str, entries: Sequence[TableEntry]) -> list[float | None]:
        """Return the sizes as they would be at 3 x 32 x 32 pixels."""
        unit = family_named(family).growth(self.extent)
        return [None if entry.size is None else entry.size / unit for entry in entries]


def _works(candidate: Candidate) -> bool:
    """Return whether a trigger moves inputs to its class, or one of fixed size most of them."""
    if candidate.margin is not None:
        return candidate.margin > 0
    return candidate.size is not None
