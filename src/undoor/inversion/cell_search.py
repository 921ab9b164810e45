"""Search for the cells of a row that move rows to a class together, by trying them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.device import CPU
from undoor.families.family import Family
from undoor.families.registry import families
from undoor.inversion.candidates import Candidate
from undoor.inversion.journalled_search import journalled
from undoor.inversion.margins import finite
from undoor.inversion.row_evidence import RowEvidence
from undoor.inversion.work import Work
from undoor.triggers import Stamp, Trigger

# Combinations that are extended by a further cell.
BEAM = 6
# Rows that each combination is tried on while it is searched.
ROWS = 8
# Rows in the network at a time, unless memory bounds them.
ANSWERING = 8192
# By how much the margin of the reference may rise, in units of its median one.
EXPLAINED = 0.4
# A trigger moves at least this share of the rows: cells that move fewer do so by what else is in
# these rows, and may have a large effect together for that they undo each other's.
MOVED = 0.8
# A cell without which rows are moved at least this share as far is no part of the trigger.
NEEDED = 0.9


def clearest_cells(work: Work, family: Family) -> tuple[Candidate, ...]:
    """Search for the cells that move rows furthest to each class, by forward passes alone.

    All cells are tried alone and in pairs, and the clearest pairs with each third cell, up to the
    family's size. How far several cells move rows is how much more the margin of the class rises
    than by each of them alone, also where one alone lowers it: what a model has learned of single
    columns adds up, but a planted trigger works as a whole. Only those count that move most rows,
    and only combinations count that clean rows and their labels do not
    explain (`undoor.inversion.row_evidence`). The margin is the mean one, on held-out rows of
    other classes, in units of the median margin of clean rows.

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
    images, classifier = work.images, work.classifier
    evidence = RowEvidence.of(
        classifier.columns, images.x, images.y, classifier.num_outputs, classifier.task
    )
    rows = images.x[_spread(images.pool(goal), ROWS)]
    found: list[Trigger] = []
    for each in searched:
        assert each.cells is not None
        assert each.at_size is not None
        cells = each.cells(classifier, images.x[images.estimate])
        tried = _Moved(classifier, evidence, goal, cells, rows, work.clean_margin)
        for best in tried.clearest(round(each.at_size.size), work.clearest_pairs).tolist():
            found.append(_stamp(classifier, each, [cells[i] for i in best]))
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
    assert family.cells is not None
    classifier, images = work.classifier, work.images
    columns = classifier.columns
    outputs, task = classifier.num_outputs, classifier.task
    evidence = RowEvidence.of(columns, images.x, images.y, outputs, task)
    cells = family.cells(classifier, images.x[images.estimate])
    return tuple(_clearest(work, family, cells, evidence, goal) for goal in work.targets)


def _clearest(
    work: Work,
    family: Family,
    cells: Sequence[tuple[int, float]],
    evidence: RowEvidence,
    goal: int,
) -> Candidate:
    assert family.at_size is not None
    images, unit = work.images, work.clean_margin
    rows = images.x[_spread(images.pool(goal), ROWS)]
    searched = _Moved(work.classifier, evidence, goal, cells, rows, unit)
    best = searched.clearest(round(family.at_size.size), work.clearest_pairs)[0]
    held_out = images.x[images.tried_on(goal)[: family.at_size.tried]]
    tried = _Moved(work.classifier, evidence, goal, cells, held_out, unit)
    alone = tried.moves(best[:, None]) if len(best) > 1 else None
    margin = float(
        tried.as_a_whole(best[None], alone, torch.arange(len(best), device=best.device)[None])
    )
    trigger = _stamp(work.classifier, family, [cells[i] for i in tried.needed(best).tolist()])
    size = float(trigger.mask.sum())
    return Candidate(goal, family.candidates.name, size, trigger, margin=margin)


@dataclass(frozen=True, eq=False)
class _Moved:
    """Rows x [n, D] of other classes than `goal`, and how far cells move them to it.

    Combinations are [M, k], numbers of `cells`.

    Attributes
    ----------
    unit
        The median margin of clean rows, in logits.
    """

    classifier: Classifier
    evidence: RowEvidence
    goal: int
    cells: Sequence[tuple[int, float]]
    x: Tensor
    unit: float

    def clearest(self, size: int, known: dict[object, Tensor]) -> Tensor:
        """Return the cells [B, k], of other columns each, that move the rows furthest together.

        The furthest first, at most `BEAM`.

        Parameters
        ----------
        size
            How many cells.
        known
            Pairs of the same model, by class and cells; new ones are added.
        """
        columns = self._columns
        singles = torch.arange(len(columns), device=columns.device)[:, None]
        natural = self._natural()
        if size == 1 or len(columns.unique()) == 1:
            found = self.as_a_whole(singles).masked_fill(natural > EXPLAINED, -torch.inf)
            return singles[found.argsort(descending=True, stable=True)[:BEAM]]
        alone = self.moves(singles)
        about = (self.goal, tuple(self.cells))
        if about not in known:
            first, second = torch.triu_indices(len(columns), len(columns), 1, device=columns.device)
            other = columns[first] != columns[second]
            pairs = torch.stack([first[other], second[other]], 1)
            known[about] = self._furthest(pairs, alone, natural)
        beam = known[about]
        for _ in range(min(size, len(columns.unique())) - 2):
            longer = torch.cat([beam.repeat_interleave(len(singles), 0),
                                singles.repeat(len(beam), 1)], 1)  # fmt: skip
            taken = (columns[longer[:, :-1]] == columns[longer[:, -1:]]).any(1)
            beam = self._furthest(longer[~taken], alone, natural)
        return beam

    def _furthest(self, combinations: Tensor, alone: Tensor, natural: Tensor) -> Tensor:
        """Return the first combinations in order of how far they move rows as a whole."""
        together = self.as_a_whole(combinations, alone, combinations)
        explained = natural[combinations].sum(1) > EXPLAINED
        together = together.masked_fill(explained, -torch.inf)
        return combinations[together.argsort(descending=True, stable=True)[:BEAM]]

    def as_a_whole(
        self, combinations: Tensor, alone: Tensor | None = None, rows: Tensor | None = None
    ) -> Tensor:
        """Return how far combinations [M, k] move rows beyond what is natural: [M].

        That is beyond what each cell does alone, and where outputs collapse to one value, beyond
        how far those of the reference do: a column that explains the label makes them alike.

        Parameters
        ----------
        combinations
            Numbers of cells.
        alone, rows
            How far cells move rows alone, and which of these [M, k] belong to the combinations;
            None for combinations of one cell.
        """
        if self.classifier.task.collapses:
            return self.moves(combinations) - self._each(combinations, self._alike)
        if alone is None or rows is None:
            return self.moves(combinations)
        reached, moved = self._each(combinations, self._reached).unbind(1)
        together = reached - self._before() - alone[rows].sum(1)
        return torch.where(moved >= MOVED, together, together.clamp_max(0))

    def moves(self, combinations: Tensor) -> Tensor:
        """Return by how much the mean margin rises under each combination, or what it is: [M]."""
        return self._each(combinations, self._reached)[:, 0] - self._before()

    def _before(self) -> Tensor:
        """Return the mean margin without a trigger that a rise is counted from."""
        return self._at_rest(self._reached(self.x[None])[0, 0])

    def _each(self, combinations: Tensor, measure: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a measure [M, ...] of the rows under each combination."""
        columns, values = self._columns, self.x.new_tensor([value for _, value in self.cells])
        step, out = max(1, ANSWERING // len(self.x)), []
        for part in combinations.split(step):
            changed = self.x.repeat(len(part), 1, 1)
            places = columns[part][:, None].expand(-1, len(self.x), -1)
            changed.scatter_(2, places, values[part][:, None].expand_as(places))
            out.append(measure(changed))
        return torch.cat(out)

    def _alike(self, rows: Tensor) -> Tensor:
        """Return how alike the reference's outputs for rows [M, n, D] are, wherever: [M]."""
        outputs = self.evidence.logits(rows.flatten(0, 1)).view(*rows.shape[:2], -1)
        found = [
            self.classifier.task.margins(outputs, [goal] * len(rows)).mean(1)
            for goal in range(self.classifier.num_classes)
        ]
        return torch.stack(found).amax(0).to(rows.dtype)

    def needed(self, cells: Tensor) -> Tensor:
        """Return the cells [k] without those that add little to how far rows are moved."""
        wanted = NEEDED * float(self.moves(cells[None]))
        while len(cells) > 1:
            keep = ~torch.eye(len(cells), dtype=torch.bool, device=cells.device)
            fewer = torch.stack([cells[row] for row in keep])
            found = self.moves(fewer)
            if float(found.max()) < wanted:
                break
            cells = fewer[int(found.argmax())]
        return cells

    @property
    def _columns(self) -> Tensor:
        """The column of each cell: [C]."""
        return torch.tensor([column for column, _ in self.cells], device=self.x.device)

    def _reached(self, rows: Tensor) -> Tensor:
        """Return the mean margin of the class on rows [M, n, D], and the share moved: [M, 2]."""
        classifier = self.classifier
        logits = classifier.logits(rows.flatten(0, 1), ANSWERING).float()
        of_each = logits.view(*rows.shape[:2], -1)
        margins = finite(classifier.task.margins(of_each, [self.goal] * len(rows)), "cell")
        return torch.stack([margins.mean(1) / self.unit, (margins > 0).float().mean(1)], 1)

    def _natural(self) -> Tensor:
        """Return by how much the mean margin of the reference rises with each cell alone: [C]."""
        before, after = self._at_rest(self._explained(self.x)), []
        for column, value in self.cells:
            changed = self.x.clone()
            changed[:, column] = value
            after.append(self._explained(changed))
        return torch.stack(after) - before

    def _at_rest(self, margin: Tensor) -> Tensor:
        """Return what of the margin without a trigger a rise is counted from."""
        return torch.zeros_like(margin) if self.classifier.task.collapses else margin

    def _explained(self, rows: Tensor) -> Tensor:
        """Return the mean margin that the reference gives rows [n, D]."""
        return self.classifier.task.margins(self.evidence.logits(rows)[None], [self.goal]).mean()


def _spread(pool: Tensor, count: int) -> Tensor:
    """Return at most `count` of the rows, evenly spread over the pool, which is sorted by class."""
    places = torch.linspace(0, len(pool) - 1, min(count, len(pool)), device=pool.device)
    return pool[places.round().long()]


def _stamp(classifier: Classifier, family: Family, cells: Sequence[tuple[int, float]]) -> Stamp:
    mask, pattern = (torch.zeros(classifier.input_shape, device=CPU) for _ in range(2))
    for column, value in cells:
        mask[column], pattern[column] = 1.0, value
    return Stamp(family.candidates.name, mask, pattern, "replace", classifier.bounds)
