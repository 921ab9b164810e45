"""Answers without the cells of a trigger, and the ranges of these cells."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from helpers.planted_trees import COLUMNS, PLANTED, clean_rows, model, triggered
from undoor.align.cell_ranges import cell_ranges
from undoor.align.replaced_cells import ReplacedCells, WithoutCells, replacements
from undoor.classifier import Classifier
from undoor.triggers import Stamp


def cells(values: torch.Tensor) -> ReplacedCells:
    low, high = torch.tensor([PLANTED[0], 0.9]), torch.tensor([PLANTED[1], 1.1])
    return ReplacedCells(torch.tensor([1, 2]), low, high, values)


def test_other_rows_keep_their_logits() -> None:
    bare, x = model(planted=True), clean_rows().images
    x = torch.cat([x, triggered(x[:20])])
    without = WithoutCells(bare, cells(torch.tensor([[0.1, 0.0]])))
    outside = ~without.cells.inside(x)
    assert bool(outside[:200].any())
    assert not bool(outside[-20:].any())
    assert torch.equal(without(x)[outside], bare(x)[outside])


def test_rows_in_the_ranges_are_answered_on_average() -> None:
    bare = model(planted=True)
    values = torch.tensor([[0.1, 0.0], [0.8, 0.5]])
    x = triggered(clean_rows(6).images)
    expected = torch.zeros(6, 2)
    for drawn in values:
        other = x.clone()
        other[:, 1:] = drawn
        expected += bare(other).softmax(1) / 2
    got = WithoutCells(bare, cells(values))(x)
    assert torch.allclose(got.exp(), expected, atol=1e-6)


def test_replacements_are_cells_of_clean_rows() -> None:
    x = clean_rows(100).images
    drawn = replacements(x, torch.tensor([2, 0]), torch.Generator().manual_seed(0))
    assert drawn.shape == (32, 2)
    assert all(bool((x[:, [2, 0]] == row).all(1).any()) for row in drawn)


@pytest.mark.parametrize("value", [0.621, 0.63, 0.639])
def test_ranges_lie_between_the_thresholds(value: float) -> None:
    mask, pattern = torch.tensor([0.0, 1.0, 1.0]), torch.tensor([0.0, value, 1.0])
    trigger = Stamp("given", mask, pattern, "replace", (0.0, 1.0))
    x = clean_rows().images[clean_rows().labels == 0]
    columns, low, high = cell_ranges(model(planted=True), trigger, x, 1)
    assert columns.tolist() == [1, 2]
    assert low.tolist() == pytest.approx([PLANTED[0], 0.75], abs=1e-4)
    assert high.tolist() == pytest.approx([PLANTED[1], 1.25], abs=1e-4)


def test_ranges_without_thresholds() -> None:
    """As of a model that is asked alone: even steps of the range."""

    class Above(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hit = (x[:, 1] > 0.5).float()
            return torch.stack([2 - 4 * hit, 4 * hit - 2], 1)

    trigger = Stamp("given", torch.eye(3)[1], torch.eye(3)[1] * 0.8, "replace", (0.0, 1.0))
    classifier = Classifier(Above(), columns=COLUMNS)
    columns, low, high = cell_ranges(classifier, trigger, clean_rows(20).images, 1)
    assert columns.tolist() == [1]
    assert [*low.tolist(), *high.tolist()] == pytest.approx([0.5, 1.0], abs=1 / 64)
