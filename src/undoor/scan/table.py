"""The candidates of every family and class, and what their sizes say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from undoor.classifier import Classifier
from undoor.scan.calibration import Null, nulls
from undoor.scan.families import pixel_scale
from undoor.scan.invert import Candidate
from undoor.scan.reestimate import Again
from undoor.scan.report import ClassEvidence
from undoor.scan.statistics import combined, needed_size, p_values, scores, without_scale


class Table:
    """Sizes are kept as the first effort would have found them, so that all compare.

    candidates : by family, those of every class in class order.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.shape = classifier.input_shape
        self.candidates: dict[str, list[Candidate]] = {}
        self._sizes: dict[str, list[float | None]] = {}
        self._scores: dict[str, NDArray[np.float64]] = {}
        self._p_values: dict[str, NDArray[np.float64]] = {}

    def add(self, candidates: Sequence[Candidate]) -> None:
        """The first candidates of a family, one a class."""
        family = candidates[0].family
        self.candidates[family] = list(candidates)
        self._sizes[family] = [candidate.size for candidate in candidates]
        self._judge(family)

    def replace(self, family: str, better: Mapping[int, Again]) -> None:
        """Better candidates of some targets."""
        for target, again in better.items():
            self.candidates[family][target] = again.candidate
            self._sizes[family][target] = again.size
        self._judge(family)

    def combined(self) -> NDArray[np.float64]:
        """The p-value of every class [K] over all families."""
        return combined(self._p_values)

    def loudest(self, target: int) -> str:
        """The family whose p-value for this class is the lowest."""
        return min(self._p_values, key=lambda family: float(self._p_values[family][target]))

    def evidence(self, family: str, target: int) -> ClassEvidence:
        return ClassEvidence(
            target=target,
            family=family,
            size=self.candidates[family][target].size,
            score=float(self._scores[family][target]),
            p_value=float(self._p_values[family][target]),
        )

    def all_evidence(self, known: Sequence[ClassEvidence]) -> tuple[ClassEvidence, ...]:
        """By family and class; `known` where that is the same and more."""
        more = {(item.family, item.target): item for item in known}
        return tuple(
            more.get((family, target)) or self.evidence(family, target)
            for family, candidates in self.candidates.items()
            for target in range(len(candidates))
        )

    def ceiling(self, family: str) -> float:
        """The size that stands for a class which no trigger of the family reached."""
        return self._null(family).ceiling * pixel_scale(family, self.shape)

    def detectable(self, alpha: float) -> dict[str, float]:
        """For each family, the size below which a class would have had a p-value of `alpha`, had
        the other families said nothing."""
        share = alpha / max(1, len(self.candidates))
        return {
            family: needed_size(self._scaled(family), self._null(family), share)
            * pixel_scale(family, self.shape)
            for family in self.candidates
        }

    def _judge(self, family: str) -> None:
        null = self._null(family)
        self._scores[family] = scores(self._scaled(family), null)
        self._p_values[family] = p_values(self._scores[family], null)

    def _null(self, family: str) -> Null:
        null = nulls()[family]
        return null if len(self.shape) == 3 else without_scale(null, self._scaled(family))

    def _scaled(self, family: str) -> list[float | None]:
        """Sizes as they would be at 3 x 32 x 32 pixels."""
        unit = pixel_scale(family, self.shape)
        return [None if size is None else size / unit for size in self._sizes[family]]
