"""Search for the cells of a row that move rows to a class together, by trying them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from undoor.black_boxes import black_box_in
from undoor.classifier import Classifier
from undoor.device import CPU
from undoor.families.family import Family
from undoor.families.registry import families
from undoor.inversion.candidates import Candidate
from undoor.inversion.interval_search import MovedByBlackBox, cells_between_thresholds
from undoor.inversion.journalled_search import journalled
from undoor.inversion.moved_rows import BEAM, MovedByNetwork, MovedRows
from undoor.inversion.row_evidence import RowEvidence
from undoor.inversion.work import Work
from undoor.triggers import Stamp, Trigger

# Rows that each combination is tried on while it is searched.
ROWS = 8


class Tries(Protocol):
    """Makes what is tried for one class on some rows."""

    def __call__(self, *, evidence: RowEvidence, goal: int, x: Tensor, unit: float) -> MovedRows:
        """Return it."""


def clearest_cells(work: Work, family: Family) -> tuple[Candidate, ...]:
    """Search for the cells that move rows furthest to each class, by forward passes alone.

    All cells are tried alone and in pairs, and the clearest pairs with each third cell, up to the
    family's size; of a black box, as trees are, the cells between its own thresholds
    (`undoor.inversion.interval_search`). How far several cells move rows is how much more the
    margin of the class rises than by each of them alone (`undoor.inversion.moved_rows`). Only
    combinations count that clean rows and their labels do not explain
    (`undoor.inversion.row_evidence`). The margin is the mean one, on held-out rows of other
    classes, in units of the median margin of clean rows.

    Parameters
    ----------
    work
        The model, its rows and the budget.
    family
        One with `at_size` and `cells`.

    Returns
    -------
    tuple of Candidate
        One for each class, in class order.

    Raises
    ------
    UndoorError
        Margins are not finite.
    BudgetEnded
        Before all were found.
    """
    return journalled(
        lambda _: _each_clearest(work, family),
        work.run.journal,
        "cells",
        work.run.generator,
        work.run.meter,
        (family.name, family.at_size, *work.asked),
        classifier=work.classifier,
    )


def searches_of(family: Family) -> list[Family]:
    """Return the families that search for cells under the name of this one."""
    return [each for each in families() if each.cells and each.candidates is family]


def further_cells(work: Work, searched: Sequence[Family], goal: int) -> list[Trigger]:
    """Return the cells that move rows clearest to a class, several of each search.

    Parameters
    ----------
    work
        The model, its rows and the budget.
    searched
        Some of `searches_of` one family.
    goal
        The class.
    """
    images, evidence = work.images, _evidence(work)
    rows = images.x[_spread(images.pool(goal), ROWS)]
    found: list[Trigger] = []
    for each in searched:
        assert each.at_size is not None
        tried = _tries(work, each)(evidence=evidence, goal=goal, x=rows, unit=work.clean_margin)
        for best in tried.clearest(round(each.at_size.size), work.clearest_pairs).tolist():
            found.append(_stamp(work.classifier, each, [tried.cells[i] for i in best]))
    return found


def passes_of_cells(classifier: Classifier, searched: Sequence[Family], rows: int) -> float:
    """Return the sample passes of `further_cells`, at most, with so many clean rows."""
    total = 0.0
    for each in searched:
        assert each.cells is not None
        assert each.at_size is not None
        count = len(each.cells(classifier, classifier.examples(rows)))
        total += tried_cells(count, round(each.at_size.size)) * ROWS / 2
    return total


def tried_cells(cells: int, size: int) -> int:
    """Return how many combinations are tried, at most, for each class.

    >>> tried_cells(10, 1), tried_cells(10, 2), tried_cells(10, 3)
    (10, 55, 115)
    """
    pairs = cells * (cells - 1) // 2 if size > 1 else 0
    return cells + pairs + max(0, size - 2) * BEAM * cells


def _each_clearest(work: Work, family: Family) -> tuple[Candidate, ...]:
    if work.run.rehearsal:
        return ()
    tries, evidence = _tries(work, family), _evidence(work)
    return tuple(_clearest(work, family, tries, evidence, goal) for goal in work.targets)


def _tries(work: Work, family: Family) -> Tries:
    assert family.cells is not None
    classifier, seen = work.classifier, work.images.x[work.images.estimate]
    if black_box_in(classifier) is None:
        return partial(MovedByNetwork, classifier, cells=family.cells(classifier, seen))
    cells, first = cells_between_thresholds(classifier, family, seen)
    return partial(MovedByBlackBox, classifier, cells=cells, first=first)


def _evidence(work: Work) -> RowEvidence:
    classifier, images = work.classifier, work.images
    return RowEvidence.of(
        classifier.columns, images.x, images.y, classifier.num_outputs, classifier.task
    )


def _clearest(
    work: Work, family: Family, tries: Tries, evidence: RowEvidence, goal: int
) -> Candidate:
    assert family.at_size is not None
    images, unit = work.images, work.clean_margin
    rows = images.x[_spread(images.pool(goal), ROWS)]
    searched = tries(evidence=evidence, goal=goal, x=rows, unit=unit)
    best = searched.clearest(round(family.at_size.size), work.clearest_pairs)[0]
    held_out = images.x[images.tried_on(goal)[: family.at_size.tried]]
    tried = tries(evidence=evidence, goal=goal, x=held_out, unit=unit)
    alone = tried.moves(best[:, None]) if len(best) > 1 else None
    margin = float(
        tried.as_a_whole(best[None], alone, torch.arange(len(best), device=best.device)[None])
    )
    trigger = _stamp(work.classifier, family, [tried.cells[i] for i in tried.needed(best).tolist()])
    size = float(trigger.mask.sum())
    return Candidate(goal, family.candidates.name, size, trigger, margin=margin)


def _spread(pool: Tensor, count: int) -> Tensor:
    """Return at most `count` of the rows, evenly spread over the pool, which is sorted by class."""
    places = torch.linspace(0, len(pool) - 1, min(count, len(pool)), device=pool.device)
    return pool[places.round().long()]


def _stamp(classifier: Classifier, family: Family, cells: Sequence[tuple[int, float]]) -> Stamp:
    mask, pattern = (torch.zeros(classifier.input_shape, device=CPU) for _ in range(2))
    for column, value in cells:
        mask[column], pattern[column] = 1.0, value
    return Stamp(family.candidates.name, mask, pattern, "replace", classifier.bounds)
