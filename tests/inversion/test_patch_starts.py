"""Which small squares push inputs to which class."""

from __future__ import annotations

import pytest
import torch

from helpers.scan_work import work_on
from helpers.tiny import CLASSES, TARGET, clean_images, toy_classifier
from undoor.errors import BudgetEnded
from undoor.families.patch import PATCH, squares
from undoor.inversion.candidates import Search
from undoor.inversion.meter import Budget, Meter
from undoor.inversion.patch_starts import FAR, NEAR, STEPS, try_squares
from undoor.inversion.work import Run, Work

assert PATCH.places is not None
PLACES = PATCH.places


def searches_of(work: Work) -> list[Search]:
    return [Search(target, work.images.pool(target)) for target in range(CLASSES)]


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 20, 48), (1, 8, 8), (1, 2, 5)])
@pytest.mark.parametrize("distance", [NEAR, FAR])
def test_squares_end_at_the_edges(shape: tuple[int, ...], distance: float) -> None:
    masks = squares(shape, distance)
    assert masks.shape[1:] == (1, *shape[1:])
    covered = masks.amax((0, 1))
    for corner in (covered[0, 0], covered[0, -1], covered[-1, 0], covered[-1, -1]):
        assert corner == 1
    areas = masks.sum((1, 2, 3))
    assert len(areas.unique()) == 1
    assert len(masks.flatten(1).unique(dim=0)) == len(masks)


def test_near_squares_leave_nothing_out() -> None:
    assert squares((3, 32, 32), NEAR).amax((0, 1)).min() == 1
    assert len(squares((3, 32, 32), FAR)) < len(squares((3, 32, 32), NEAR))


@pytest.mark.usefixtures("arithmetic")
def test_the_planted_target_is_pulled_most() -> None:
    work = work_on(toy_classifier(backdoored=True), clean_images(6))
    searches = searches_of(work)
    tried = try_squares(work, searches, PLACES, PATCH.name, distance=NEAR, keep=2)
    pulls = torch.tensor([pulled.pull for pulled in tried])
    assert int(pulls.argmax()) == TARGET
    assert 0 <= float(pulls.min()) <= float(pulls.max()) <= 1
    for search, pulled in zip(searches, tried, strict=True):
        assert len(pulled.starts) == 2
        assert {start.target for start in pulled.starts} == {search.target}
        assert all(start.start is not None for start in pulled.starts)
    assert work.run.meter.passes == len(squares((1, 8, 8), NEAR)) * STEPS * CLASSES


def test_a_spent_budget_tries_nothing() -> None:
    work = work_on(toy_classifier(backdoored=True), clean_images(6))
    spent = Meter(Budget(passes=1))
    counted = work.classifier.counted(spent)
    work = Work(counted, work.images, work.class_directions, Run(work.run.generator, spent))
    with pytest.raises(BudgetEnded):
        try_squares(work, searches_of(work), PLACES, PATCH.name, distance=NEAR, keep=2)
    assert spent.passes == 0
