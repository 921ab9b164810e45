"""The smallest patches, made opaque and measured at one size."""

from __future__ import annotations

import pytest
import torch

from helpers.scan_work import margins, toy_work
from helpers.tiny import CLASSES, TARGET
from undoor.errors import UndoorError
from undoor.families.opaque_patch import OPAQUE_PATCH
from undoor.inversion.candidates import Candidate
from undoor.inversion.opaque import opaque, opaque_margins
from undoor.inversion.work import Work
from undoor.scan.screen import screen
from undoor.triggers import Stamp


def stamp(mask: torch.Tensor) -> Stamp:
    return Stamp("patch", mask, torch.rand(mask.shape), "replace", (0.0, 1.0))


def measured(work: Work) -> tuple[Candidate, ...]:
    return opaque_margins(work, OPAQUE_PATCH, screen(work, "patch"))


@pytest.mark.usefixtures("arithmetic")
def test_a_planted_patch_goes_on_where_natural_ones_stop() -> None:
    found, twin = (measured(toy_work(backdoored=planted)) for planted in (True, False))
    assert [each.target for each in found] == list(range(CLASSES))
    assert margins(found)[TARGET] > max(*margins(found)[:TARGET], *margins(twin)) + 1


def test_the_strongest_pixels_are_all_that_is_left() -> None:
    mask = torch.tensor([[[0.9, 0.1, 0.0], [0.3, 0.8, 0.2]]])
    left = opaque(stamp(mask), 2)
    assert left.mask.tolist() == [[[1, 0, 0], [0, 1, 0]]]
    x = torch.rand(4, 1, 2, 3)
    changed = (left(x) != x).any(1).any(0)
    assert changed.tolist() == [[True, False, False], [False, True, False]]


def test_more_pixels_than_there_are_are_all_of_them() -> None:
    assert opaque(stamp(torch.rand(1, 2, 2)), 9).mask.tolist() == [[[1, 1], [1, 1]]]


def test_a_trigger_that_did_not_work_is_measured_too() -> None:
    """Where the search found none, its margin says how far from it the best one is."""
    work = toy_work()
    (never,) = opaque_margins(
        work, OPAQUE_PATCH, [Candidate(TARGET, "patch", None, stamp(torch.zeros(1, 8, 8)))]
    )
    assert never.margin is not None
    assert never.margin < 0
    assert never.size == 1  # Nine pixels of 32 x 32 are one of 8 x 8.


def test_the_passes_are_counted() -> None:
    """Half a pass for every held-out input of another class, or for as many as are tried."""
    work, at_size = toy_work(), OPAQUE_PATCH.at_size
    assert at_size is not None
    smallest = screen(work, "patch")
    before = work.run.meter.passes
    opaque_margins(work, OPAQUE_PATCH, smallest)
    spent = work.run.meter.passes - before
    labels = work.images.y[work.images.held_out]
    tried = [min(at_size.tried, int((labels != target).sum())) for target in range(CLASSES)]
    assert spent == sum(tried) / 2 <= at_size.passes(CLASSES)


def test_margins_that_are_not_finite_are_refused() -> None:
    work = toy_work()
    smallest = screen(work, "patch")
    with torch.no_grad():
        next(work.classifier.parameters()).fill_(torch.inf)
    with pytest.raises(UndoorError, match="not finite"):
        opaque_margins(work, OPAQUE_PATCH, smallest)
