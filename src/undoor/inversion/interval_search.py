"""Cells between the thresholds of a black box, and how far they move rows to a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.families.cell_values import INTERVALS, between_thresholds, every_interval
from undoor.families.family import Family
from undoor.inversion.moved_rows import MovedRows

# Combinations that are extended: the many intervals of a black box are alike.
WIDE_BEAM = 24
# Cells that move rows furthest alone, which are paired with all.
SEEDS = 24
# The share of the rows that a trigger may move less far than its margin says.
HARDLY_MOVED = 0.1


@dataclass(frozen=True, eq=False)
class MovedByBlackBox(MovedRows):
    """Unlike lines, trees do not go on beyond what they have seen.

    A planted trigger carries all rows over, and what is natural hardly does: how far cells move
    rows is no more than where the rows end that are moved least.

    Attributes
    ----------
    first
        So many cells are tried in all pairs, the others with those that move rows furthest alone.
    """

    first: int

    beam: ClassVar[int] = WIDE_BEAM

    def pairs(self, alone: Tensor) -> Tensor:
        """Return all pairs of the first cells, and those of the others with the furthest."""
        pairs = torch.stack(
            [*torch.triu_indices(self.first, self.first, 1, device=alone.device)], 1
        )
        rest = torch.arange(self.first, len(alone), device=alone.device)
        seeds = alone.argsort(descending=True, stable=True)[:SEEDS]
        return torch.cat([pairs, torch.cartesian_prod(seeds, rest)]) if len(rest) else pairs

    def as_a_whole(
        self, combinations: Tensor, alone: Tensor | None = None, rows: Tensor | None = None
    ) -> Tensor:
        """Return how far combinations [M, k] move rows beyond what is natural: [M]."""
        together = self.moves(combinations)
        if alone is not None and rows is not None:
            together = together - alone.clamp_min(0)[rows].sum(1)
        return together.minimum(self.each(combinations, self._least))

    def _least(self, rows: Tensor) -> Tensor:
        """Return where the rows of [M, n, D] end that are moved least: [M]."""
        return (self.margins(rows) / self.unit).quantile(HARDLY_MOVED, 1)


def cells_between_thresholds(
    classifier: Classifier, family: Family, x: Tensor
) -> tuple[list[tuple[int, float]], int]:
    """Return the cells that are tried, and how many of them come first.

    Parameters
    ----------
    classifier
        A black box. Of one that does not show its thresholds the cells are those of the family.
    family
        One with `at_size` and `cells`.
    x
        Clean rows [N, D].
    """
    assert family.cells is not None
    assert family.at_size is not None
    first: list[tuple[int, float]] = []
    usual = family.cells(classifier, x)
    limit = None if family.at_size.size == 1 else INTERVALS
    for index, column in enumerate(classifier.columns):
        found = None if column.categories else between_thresholds(classifier, index, x, limit)
        values = [v for place, v in usual if place == index] if found is None else found.tolist()
        first += [(index, value) for value in values]
    # All that a black box shows; the same ones of others.
    return list(dict.fromkeys([*first, *every_interval(classifier, x)])), len(first)
