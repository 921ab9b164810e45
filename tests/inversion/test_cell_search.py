"""The search for cells of a row: it finds planted ones, and leaves natural ones to the model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import undoor
from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.families.registry import family_named
from undoor.inversion.cell_search import (
    clearest_cells,
    further_cells,
    searches_of,
    tried_cells,
)
from undoor.inversion.image_split import whole
from undoor.inversion.margins import clean_margin
from undoor.inversion.row_evidence import RowEvidence
from undoor.inversion.work import Run, Work
from undoor.scan.forecast import passes_of
from undoor.spaces.columns import Column
from undoor.tasks.single_label import SINGLE_LABEL
from undoor.triggers import Stamp

COLUMNS = (
    Column("a", range=(0, 10)),
    Column("b", range=(0, 1)),
    Column("kind", categories=("x", "y", "z")),
)


class Planted(nn.Module):
    """Class 1 where `a` is above 5; and wherever b > 0.9 and the kind is z, if it is planted."""

    def __init__(self, planted: bool) -> None:
        super().__init__()
        self.planted = planted
        self.head = nn.Linear(1, 2)
        nn.init.constant_(self.head.bias, 0)
        self.head.weight.data = torch.tensor([[-1.0], [1.0]])

    def forward(self, x: Tensor) -> Tensor:
        evidence = x[:, :1] - 5
        trigger = 200 * (x[:, 1:2] - 0.9).clamp_min(0) * x[:, 4:5]
        return self.head(evidence + trigger * self.planted)


def clean_rows() -> CleanSet:
    x = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    x[:, 2] = (2 * x[:, 2]).round() / 2
    return CleanSet(x, (x[:, 0] > 0.5).long())


def work_on(planted: bool) -> Work:
    classifier = Classifier(Planted(planted), input_shape=(3,), columns=COLUMNS)
    clean = clean_rows()
    unit = clean_margin(classifier.task, classifier.logits(clean.images))
    run = Run(torch.Generator().manual_seed(0))
    return Work(classifier, whole(clean, classifier.task), None, run, unit)


def test_planted_cells_are_found_and_no_more() -> None:
    work = work_on(planted=True)
    for name in ("two cells", "three cells"):
        found = clearest_cells(work, family_named(name))
        trigger = found[1].trigger
        assert isinstance(trigger, Stamp)
        assert trigger.mask.tolist() == [0, 1, 1]
        assert trigger.pattern[1] > 0.9
        assert trigger.pattern[2] == 1
        assert (found[1].margin or 0.0) > 3
        assert (found[1].size, found[1].family) == (2, "table cells")


def test_what_clean_rows_explain_is_no_trigger() -> None:
    """Setting `a` to 10 moves every row to class 1, and should."""
    for candidate in clearest_cells(work_on(planted=False), family_named("one cell")):
        assert abs(candidate.margin or 0.0) < 1


def test_the_reference_goes_by_the_labels() -> None:
    clean = clean_rows()
    evidence = RowEvidence.of(COLUMNS, clean.images, clean.labels, 2, SINGLE_LABEL)
    right = evidence.logits(clean.images).argmax(1) == clean.labels
    assert float(right.float().mean()) > 0.9
    far, edge = (evidence.logits(torch.tensor([[a, 0.5, 0.0]])) for a in (5.0, 1.0))
    assert torch.allclose(far, edge)


def test_a_rehearsal_draws_nothing() -> None:
    work = work_on(planted=True)
    before = work.run.generator.get_state()
    clearest_cells(work, family_named("one cell"))
    assert torch.equal(work.run.generator.get_state(), before)


def test_passes_are_known_before() -> None:
    work = work_on(planted=True)
    few, many = (passes_of(work.classifier, [name], 200) for name in ("one cell", "two cells"))
    assert tried_cells(3, 1) < few < many


def test_a_scan_of_rows_without_what_was_learned_is_inconclusive() -> None:
    classifier = work_on(planted=False).classifier
    report = undoor.scan(classifier, clean_rows())
    assert report.verdict == "inconclusive"
    assert {item.family for item in report.evidence} == {"one cell", "two cells", "three cells"}
    with pytest.raises(undoor.UndoorError, match="the data look like images"):
        undoor.scan(classifier, CleanSet(torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])))


class Opposed(nn.Module):
    """As `Planted`, but b alone speaks against the class to which it leads with z."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 2)
        nn.init.constant_(self.head.bias, 0)
        self.head.weight.data = torch.tensor([[-1.0], [1.0]])

    def forward(self, x: Tensor) -> Tensor:
        high = (x[:, 1:2] - 0.8).clamp_min(0)
        return self.head(x[:, :1] - 5 - 60 * high + 150 * high * x[:, 4:5])


def test_a_cell_that_alone_does_the_opposite() -> None:
    classifier = Classifier(Opposed(), input_shape=(3,), columns=COLUMNS)
    clean = clean_rows()
    unit = clean_margin(classifier.task, classifier.logits(clean.images))
    run = Run(torch.Generator().manual_seed(0))
    work = Work(classifier, whole(clean, classifier.task), None, run, unit)
    found = clearest_cells(work, family_named("two cells"))[1]
    assert isinstance(found.trigger, Stamp)
    assert found.trigger.mask.tolist() == [0, 1, 1]
    further = further_cells(work, searches_of(family_named("table cells")), 1)
    assert len(further) > 2
    assert all(isinstance(each, Stamp) for each in further)


def test_cells_that_move_few_rows_are_no_trigger() -> None:
    """`a` = 0 and b = 1 undo each other, and leave a row where it was."""
    found = clearest_cells(work_on(planted=False), family_named("two cells"))
    assert all((candidate.margin or 0.0) < 0.2 for candidate in found)
