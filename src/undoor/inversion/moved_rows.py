"""How far cells of a row move rows to a class together, found by trying them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from undoor.classifier import Classifier
from undoor.inversion.margins import finite
from undoor.inversion.row_evidence import RowEvidence

# Combinations that are extended by a further cell.
BEAM = 6
# Rows in the network at a time, unless memory bounds them.
ANSWERING = 8192
# By how much the margin of the reference may rise, in units of its median one.
EXPLAINED = 0.4
# A trigger moves at least this share of the rows: cells that move fewer do so by what else is in
# these rows, and may have a large effect together for that they undo each other's.
MOVED = 0.8
# A cell without which rows are moved at least this share as far is no part of the trigger.
NEEDED = 0.9


@dataclass(frozen=True, eq=False)
class MovedRows(ABC):
    """Rows x [n, D] of other classes than `goal`, and how far cells move them to it.

    Combinations are [M, k], numbers of `cells`. What counts as far, and which pairs are tried, is
    for a kind of model to say.

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

    # How many combinations are extended by a further cell.
    beam: ClassVar[int] = BEAM

    @abstractmethod
    def as_a_whole(
        self, combinations: Tensor, alone: Tensor | None = None, rows: Tensor | None = None
    ) -> Tensor:
        """Return how far combinations [M, k] move rows beyond what is natural: [M].

        Parameters
        ----------
        combinations
            Numbers of cells.
        alone, rows
            How far cells move rows alone, and which of these [M, k] belong to the combinations;
            None for combinations of one cell.
        """

    @abstractmethod
    def pairs(self, alone: Tensor) -> Tensor:
        """Return the pairs of cells [M, 2] that are tried, given how far each moves rows alone."""

    def clearest(self, size: int, known: dict[object, Tensor]) -> Tensor:
        """Return the cells [B, k], of other columns each, that move the rows furthest together.

        The furthest first, at most `beam`.

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
            return singles[found.argsort(descending=True, stable=True)[: self.beam]]
        alone = self.moves(singles)
        about = (self.goal, tuple(self.cells))
        if about not in known:
            pairs = self.pairs(alone)
            other = columns[pairs[:, 0]] != columns[pairs[:, 1]]
            known[about] = self._furthest(pairs[other], alone, natural)
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
        return combinations[together.argsort(descending=True, stable=True)[: self.beam]]

    def moves(self, combinations: Tensor) -> Tensor:
        """Return by how much the mean margin rises under each combination, or what it is: [M]."""
        return self.each(combinations, self.reached) - self.before()

    def before(self) -> Tensor:
        """Return the mean margin without a trigger that a rise is counted from."""
        return self._at_rest(self.reached(self.x[None])[0])

    def each(self, combinations: Tensor, measure: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a measure [M, ...] of the rows under each combination."""
        columns, values = self._columns, self.x.new_tensor([value for _, value in self.cells])
        step, out = max(1, ANSWERING // len(self.x)), []
        for part in combinations.split(step):
            changed = self.x.repeat(len(part), 1, 1)
            places = columns[part][:, None].expand(-1, len(self.x), -1)
            changed.scatter_(2, places, values[part][:, None].expand_as(places))
            out.append(measure(changed))
        return torch.cat(out)

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

    def reached(self, rows: Tensor) -> Tensor:
        """Return the mean margin of the class on rows [M, n, D], in units: [M]."""
        return self.margins(rows).mean(1) / self.unit

    def margins(self, rows: Tensor) -> Tensor:
        """Return the margins of the class on rows [M, n, D], in logits: [M, n].

        Raises
        ------
        UndoorError
            They are not finite.
        """
        classifier = self.classifier
        logits = classifier.logits(rows.flatten(0, 1), ANSWERING).float()
        of_each = logits.view(*rows.shape[:2], -1)
        return finite(classifier.task.margins(of_each, [self.goal] * len(rows)), "cell")

    @property
    def _columns(self) -> Tensor:
        """The column of each cell: [C]."""
        return torch.tensor([column for column, _ in self.cells], device=self.x.device)

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


class MovedByNetwork(MovedRows):
    """What a network has learned of single columns adds up; a planted trigger works as a whole.

    So what counts is how much more the margin rises than by each cell alone, and where outputs
    collapse to one value, how much more than those of the reference do: a column that explains the
    label makes them alike.
    """

    def pairs(self, alone: Tensor) -> Tensor:
        """Return all of them."""
        return torch.triu_indices(len(alone), len(alone), 1, device=alone.device).T

    def as_a_whole(
        self, combinations: Tensor, alone: Tensor | None = None, rows: Tensor | None = None
    ) -> Tensor:
        """Return how far combinations [M, k] move rows beyond what is natural: [M]."""
        if self.classifier.task.collapses:
            return self.moves(combinations) - self.each(combinations, self._alike)
        if alone is None or rows is None:
            return self.moves(combinations)
        reached, moved = self.each(combinations, self._reached_and_moved).unbind(1)
        together = reached - self.before() - alone[rows].sum(1)
        return torch.where(moved >= MOVED, together, together.clamp_max(0))

    def _reached_and_moved(self, rows: Tensor) -> Tensor:
        """Return the mean margin of the class on rows [M, n, D], and the share moved: [M, 2]."""
        margins = self.margins(rows)
        return torch.stack([margins.mean(1) / self.unit, (margins > 0).float().mean(1)], 1)

    def _alike(self, rows: Tensor) -> Tensor:
        """Return how alike the reference's outputs for rows [M, n, D] are, wherever: [M]."""
        outputs = self.evidence.logits(rows.flatten(0, 1)).view(*rows.shape[:2], -1)
        found = [
            self.classifier.task.margins(outputs, [goal] * len(rows)).mean(1)
            for goal in range(self.classifier.num_classes)
        ]
        return torch.stack(found).amax(0).to(rows.dtype)
