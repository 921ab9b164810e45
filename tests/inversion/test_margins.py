"""The clearest trigger of one size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.family_names import MARGINS
from helpers.scan_work import margins, toy_work
from helpers.tiny import CLASSES, TARGET
from undoor.errors import BudgetEnded, UndoorError
from undoor.families.at_size import AtSize
from undoor.families.patch_margin import PATCH_MARGIN, places
from undoor.families.registry import family_named
from undoor.inversion.followed import DRAWN, PROMISING
from undoor.inversion.margins import clean_margin, largest_margins
from undoor.inversion.meter import Budget
from undoor.inversion.triggered import triggered
from undoor.journal import Journal
from undoor.passes import Capacity
from undoor.tasks.single_label import SINGLE_LABEL

SHORT = AtSize(size=36.0, starts=9, steps=12, batch=2, tried=8)


@pytest.mark.usefixtures("arithmetic")
def test_a_planted_patch_is_the_clearest_by_far() -> None:
    """In absolute terms: many times as clear as clean inputs of the class, and as in its twin."""
    found = margins(largest_margins(toy_work(), PATCH_MARGIN))
    twin = margins(largest_margins(toy_work(backdoored=False), PATCH_MARGIN))
    assert int(np.argmax(found)) == TARGET
    assert found[TARGET] > 3 > max(twin) + 1


@pytest.mark.parametrize("family", MARGINS)
def test_triggers_are_of_the_size_asked_for(family: str) -> None:
    record, work = family_named(family), toy_work()
    assert record.at_size is not None
    found = largest_margins(work, record)
    assert [candidate.target for candidate in found] == list(range(CLASSES))
    assert {candidate.family for candidate in found} == {record.candidates.name}
    limit = record.at_size.size * record.growth(work.classifier.extent)
    for candidate in found:
        assert candidate.size is not None
        assert candidate.size <= limit * 1.0001 or record is PATCH_MARGIN
        # What is measured is what the trigger does.
        logits = triggered(work.classifier, candidate.trigger).logits(work.images.x)
        assert torch.isfinite(logits).all()


def test_the_unit_is_the_margin_of_clean_inputs() -> None:
    """The same network with logits ten times as large has the same margins, but for rounding."""
    work = toy_work()
    louder = work.classifier.with_gain(10.0)
    logits = louder.logits(work.images.x)
    assert clean_margin(louder.task, logits) == pytest.approx(10 * work.clean_margin)


def test_the_unit_does_not_depend_on_labels() -> None:
    """A network that is often wrong is as sure of itself as one that is right; where it is sure of
    nothing, margins are as they are."""
    sure = torch.tensor([[0.0, 4.0], [5.0, 0.0], [0.0, 6.0]])
    assert clean_margin(SINGLE_LABEL, sure) == 5.0
    assert clean_margin(SINGLE_LABEL, torch.zeros(3, 2)) == 1.0


def test_of_many_classes_the_promising_and_some_others_are_followed() -> None:
    work = toy_work(classes=20)
    family = replace(PATCH_MARGIN, at_size=SHORT)
    found = [candidate.target for candidate in largest_margins(work, family)]
    assert found == sorted(set(found))
    assert len(found) == PROMISING + DRAWN
    assert TARGET in found


def test_places_reach_the_corners_and_the_middle() -> None:
    masks = places((3, 20, 32))
    assert masks.shape == (9, 1, 20, 32)
    corners = masks[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]].sum(0)
    assert corners.tolist() == [1, 1, 1, 1]
    assert masks[4, 0, 10, 16] == 1


def test_small_memory_changes_nothing_but_rounding() -> None:
    whole = toy_work()
    narrow = toy_work()
    narrow.classifier.capacity = Capacity(learning=7, inference=11)
    family = replace(PATCH_MARGIN, at_size=SHORT)
    expected, found = (margins(largest_margins(work, family)) for work in (whole, narrow))
    assert found == pytest.approx(expected, rel=0.05, abs=0.05)


def test_a_search_that_its_budget_ended_goes_on_where_it_was(tmp_path: Path) -> None:
    """To the last bit as if it had not ended; what was spent is counted once."""
    family = replace(PATCH_MARGIN, at_size=SHORT)

    def run(journal: Journal | None, passes: int | None) -> tuple[list[float], float]:
        work = toy_work()
        work = replace(work, run=replace(work.run, journal=journal))
        work.run.meter.budget = Budget(passes=passes)
        try:
            return margins(largest_margins(work, family)), work.run.meter.passes
        except BudgetEnded:
            return [], work.run.meter.passes

    expected, spent = run(None, None)
    journal = Journal(tmp_path, every=0.0)
    ended, partly = run(journal, int(spent / 2))
    assert ended == []
    assert 0 < partly <= spent / 2
    found, in_all = run(journal, None)
    assert found == expected
    assert in_all == spent


def test_a_network_without_a_linear_head_counts_as_if_barred() -> None:
    """Nothing can be taken out there: -1 stands for what natural triggers have left."""
    work = replace(toy_work(), class_directions=None)
    twin = replace(toy_work(backdoored=False), class_directions=None)
    family = replace(PATCH_MARGIN, at_size=SHORT)
    found, natural = (margins(largest_margins(each, family)) for each in (work, twin))
    assert found[TARGET] > max(natural) + 1


def test_margins_that_are_not_finite_are_refused() -> None:
    """As of a network whose scores overflow for what no clean input looks like."""
    work = toy_work()
    with torch.no_grad():
        next(work.classifier.parameters()).fill_(torch.inf)
    with pytest.raises(UndoorError, match="not finite"):
        largest_margins(work, replace(PATCH_MARGIN, at_size=SHORT))


def test_a_plan_says_what_it_costs() -> None:
    """Counted by the meter: a pass without gradients is half of one, and there are two of them."""
    work = toy_work()
    largest_margins(work, replace(family_named("additive margin"), at_size=SHORT))
    assert work.run.meter.passes == pytest.approx(SHORT.passes(CLASSES))
