"""How much work each family gets."""

from __future__ import annotations

import pytest

from helpers.family_names import BY_SOURCE, INPUT_FAMILIES, LATENT_FAMILIES, SHARED
from undoor.families.patch_margin import GRID, PATCH_MARGIN
from undoor.families.registry import family_named
from undoor.families.schedules import TRIAL_STEPS, Effort, Schedule
from undoor.inversion.followed import DRAWN, FEW_CLASSES, PROMISING

TARGETED = [*INPUT_FAMILIES, *LATENT_FAMILIES]
BY_CLASS = [*TARGETED, BY_SOURCE]


def most_passes(starts: int, schedule: Schedule) -> int:
    """Of one class, without a budget or impatience."""
    alone = schedule.steps - schedule.trial if schedule.trial else 0
    together = schedule.steps - alone
    return schedule.batch * (starts * together + min(starts, schedule.keep) * alone)


def effort_of(family: str) -> Effort:
    return family_named(family).effort


def passes(effort: Effort) -> int:
    return most_passes(effort.starts, effort.schedule)


def test_latent_families_of_all_depths_get_the_same() -> None:
    assert len({effort_of(family) for family in LATENT_FAMILIES}) == 1
    assert len({effort_of(family).last() for family in LATENT_FAMILIES}) == 1


@pytest.mark.parametrize("family", [*BY_CLASS, SHARED])
def test_every_family_has_an_effort(family: str) -> None:
    """A pseudo-family has one of its own, not that of patches for targets."""
    effort = effort_of(family)
    assert effort.starts >= 1
    assert effort.schedule.trial < effort.schedule.steps
    places = family_named(family).places
    assert effort.schedule.keep <= effort.starts + (places.keep if places else 0)


@pytest.mark.parametrize("family", BY_CLASS)
def test_a_trial_is_cheap_and_the_rest_completes_it(family: str) -> None:
    first, trial, rest = effort_of(family), effort_of(family).trial(), effort_of(family).rest()
    assert most_passes(1, trial) < passes(first)
    assert trial.steps == TRIAL_STEPS
    assert trial.steps + rest.steps == first.schedule.steps
    # Neither drops candidates half-way, and both aim at the same.
    assert trial.trial == rest.trial == 0
    assert trial.success == rest.success == first.schedule.success
    assert rest.batch == first.schedule.batch


@pytest.mark.parametrize("family", BY_CLASS)
def test_many_classes_cost_less_than_as_many_times_a_few(family: str) -> None:
    """At 43 classes, with as many followed as there can be."""
    followed = (PROMISING + DRAWN) * most_passes(1, effort_of(family).rest())
    many = 43 * most_passes(1, effort_of(family).trial()) + followed
    assert many < 43 * passes(effort_of(family))
    assert PROMISING + DRAWN > FEW_CLASSES


@pytest.mark.parametrize("family", TARGETED)
def test_a_lone_and_a_last_search_try_harder(family: str) -> None:
    first, lone, last = effort_of(family), effort_of(family).lone(), effort_of(family).last()
    assert lone.batch >= first.schedule.batch
    assert lone.steps > first.schedule.steps
    assert last.success > first.schedule.success
    assert last.weight < first.schedule.weight


def test_a_trial_of_one_size_looks_at_all_places() -> None:
    """At half of them, other ones for each class, a patch between two is missed by its class."""
    plan = PATCH_MARGIN.at_size
    assert plan is not None
    trial = plan.trial()
    assert trial.starts == plan.starts == GRID * GRID
    assert trial.passes(43) < plan.passes(43) / 3
