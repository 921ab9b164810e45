"""Search for the cells of a row that move rows together in a black box, by its own thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.black_boxes import black_box_in
from undoor.classifier import Classifier
from undoor.device import CPU
from undoor.families.cell_values import INTERVALS, between_thresholds, every_interval
from undoor.families.family import Family
from undoor.inversion.candidates import Candidate
from undoor.inversion.journalled_search import journalled
from undoor.inversion.margins import finite
from undoor.inversion.row_evidence import RowEvidence
from undoor.inversion.work import Work
from undoor.triggers import Stamp

# Combinations that are extended by a further cell.
BEAM = 6
# Rows that each combination is tried on while it is searched.
ROWS = 8
# Rows in the network at a time, unless memory bounds them.
ANSWERING = 8192
# By how much the margin of the reference may rise, in units of its median one.
EXPLAINED = 0.4
# The same of black boxes, whose many intervals are alike.
WIDE_BEAM = 24
# Cells that move rows furthest alone, which are paired with all of a black box.
SEEDS = 24
# Of a black box, the share of the rows that a trigger may move less far than its margin says.
HARDLY_MOVED = 0.1
# A cell without which rows are moved at least this share as far is no part of the trigger.
NEEDED = 0.9


def clearest_intervals(work: Work, family: Family) -> tuple[Candidate, ...]:
    """Search for the cells that move rows furthest to each class, by forward passes alone.

    All cells are tried alone and in pairs, and the clearest pairs with each third cell, up to the
    family's size. How far several cells move rows is how much more the margin of the class rises
    than by each of them alone: what a model has learned of single columns adds up, but a planted
    trigger works as a whole. Only combinations count that clean rows and their labels do not
    explain (`undoor.inversion.row_evidence`). The margin is the mean one, on held-out rows of
    other classes, in units of the median margin of clean rows.

    Of a black box, as trees are, it is no more than where the rows end that are moved least: unlike
    lines, trees do not go on beyond what they have seen, so that a planted trigger carries all rows
    over, and what is natural hardly does.

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
        "intervals",
        work.run.generator,
        work.run.meter,
        (family.name, family.at_size, *work.asked),
        classifier=work.classifier,
    )


def _each_clearest(work: Work, family: Family) -> tuple[Candidate, ...]:
    if work.run.rehearsal:
        return ()
    assert family.cells is not None
    classifier, images = work.classifier, work.images
    columns = classifier.columns
    outputs, task = classifier.num_outputs, classifier.task
    evidence = RowEvidence.of(columns, images.x, images.y, outputs, task)
    seen = images.x[images.estimate]
    first = _first_cells(classifier, family, seen)
    # All that a black box shows; the same ones of others.
    cells = list(dict.fromkeys([*first, *every_interval(classifier, seen)]))
    return tuple(
        _clearest(work, family, cells, len(first), evidence, goal) for goal in work.targets
    )


def _first_cells(classifier: Classifier, family: Family, x: Tensor) -> list[tuple[int, float]]:
    """Return the cells that are tried in all pairs, or alone: between thresholds, if known."""
    assert family.cells is not None
    assert family.at_size is not None
    out: list[tuple[int, float]] = []
    usual = family.cells(classifier, x)
    limit = None if family.at_size.size == 1 else INTERVALS
    for index, column in enumerate(classifier.columns):
        found = None if column.categories else between_thresholds(classifier, index, x, limit)
        values = [v for place, v in usual if place == index] if found is None else found.tolist()
        out += [(index, value) for value in values]
    return out


def _clearest(
    work: Work,
    family: Family,
    cells: Sequence[tuple[int, float]],
    first: int,
    evidence: RowEvidence,
    goal: int,
) -> Candidate:
    assert family.at_size is not None
    images, unit = work.images, work.clean_margin
    rows = images.x[_spread(images.pool(goal), ROWS)]
    searched = _Moved(work.classifier, evidence, goal, cells, rows, unit)
    best = searched.clearest(round(family.at_size.size), first)
    held_out = images.x[images.tried_on(goal)[: family.at_size.tried]]
    tried = _Moved(work.classifier, evidence, goal, cells, held_out, unit)
    alone = tried.moves(best[:, None]) if len(best) > 1 else None
    places = torch.arange(len(best), device=best.device)[None]
    whole = tried.as_a_whole(best[None], alone, places)
    margin = float(whole.minimum(tried.least(best[None])))
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

    def clearest(self, size: int, first: int) -> Tensor:
        """Return the cells [k], of other columns each, that move the rows furthest together.

        Parameters
        ----------
        size
            How many, at most.
        first
            So many cells are tried in all pairs, the others with those that move rows furthest
            alone.
        """
        columns = self._columns
        singles = torch.arange(len(columns), device=columns.device)[:, None]
        natural, alone = self._natural(), self.moves(singles)
        if size == 1 or len(columns.unique()) == 1:
            found = self.as_a_whole(singles).minimum(self.least(singles))
            return singles[int(found.masked_fill(natural > EXPLAINED, -torch.inf).argmax())]
        pairs = self._pairs(first, alone)
        beam = self._furthest(pairs[columns[pairs[:, 0]] != columns[pairs[:, 1]]], alone, natural)
        for _ in range(min(size, len(columns.unique())) - 2):
            longer = torch.cat([beam.repeat_interleave(len(singles), 0),
                                singles.repeat(len(beam), 1)], 1)  # fmt: skip
            taken = (columns[longer[:, :-1]] == columns[longer[:, -1:]]).any(1)
            beam = self._furthest(longer[~taken], alone, natural)
        return beam[0]

    def _pairs(self, first: int, alone: Tensor) -> Tensor:
        """Return the pairs of cells [M, 2] that are tried."""
        pairs = torch.stack([*torch.triu_indices(first, first, 1, device=alone.device)], 1)
        rest = torch.arange(first, len(alone), device=alone.device)
        seeds = alone.argsort(descending=True, stable=True)[:SEEDS]
        return torch.cat([pairs, torch.cartesian_prod(seeds, rest)]) if len(rest) else pairs

    def _furthest(self, combinations: Tensor, alone: Tensor, natural: Tensor) -> Tensor:
        """Return the first combinations in order of how far they move rows as a whole."""
        together = self.as_a_whole(combinations, alone, combinations)
        together = together.minimum(self.least(combinations))
        explained = natural[combinations].sum(1) > EXPLAINED
        together = together.masked_fill(explained, -torch.inf)
        return combinations[together.argsort(descending=True, stable=True)[: self._beam]]

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
        together = self.moves(combinations)
        if alone is None or rows is None:
            return together
        return together - alone.clamp_min(0)[rows].sum(1)

    def moves(self, combinations: Tensor) -> Tensor:
        """Return by how much the mean margin rises under each combination, or what it is: [M]."""
        rest = self._at_rest(self._reached(self.x[None]))
        return self._each(combinations, self._reached) - rest

    @property
    def _beam(self) -> int:
        return BEAM if black_box_in(self.classifier) is None else WIDE_BEAM

    def least(self, combinations: Tensor) -> Tensor:
        """Return where rows of a black box end that each combination moves least: [M].

        Infinity for a network, in which that says nothing.
        """
        if black_box_in(self.classifier) is None:
            return self.x.new_full((len(combinations),), torch.inf)
        return self._each(combinations, lambda rows: self._margins(rows).quantile(HARDLY_MOVED, 1))

    def _each(self, combinations: Tensor, measure: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a measure [M] of the rows under each combination."""
        columns, values = self._columns, self.x.new_tensor([value for _, value in self.cells])
        step, out = max(1, ANSWERING // len(self.x)), [self.x.new_empty(0)]
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
        """Return the mean margin of the class on rows [M, n, D]: [M]."""
        return self._margins(rows).mean(1)

    def _margins(self, rows: Tensor) -> Tensor:
        """Return the margins of the class on rows [M, n, D], in units: [M, n]."""
        classifier = self.classifier
        logits = classifier.logits(rows.flatten(0, 1), ANSWERING).float()
        of_each = logits.view(*rows.shape[:2], -1)
        margins = finite(classifier.task.margins(of_each, [self.goal] * len(rows)), "cell")
        return margins / self.unit

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
