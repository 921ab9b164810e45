"""How much work each family gets."""

from __future__ import annotations

import pytest

from undoor.scan.effort import (
    FEW_CLASSES,
    TRIAL_STEPS,
    Effort,
    first_effort,
    last_schedule,
    rest_schedule,
    second_effort,
    trial_effort,
)
from undoor.scan.families import BY_SOURCE, INPUT_FAMILIES, LATENT_FAMILIES, SHARED
from undoor.scan.invert import Schedule
from undoor.scan.screen import DRAWN, PROMISING

TARGETED = [*INPUT_FAMILIES, *LATENT_FAMILIES]
BY_CLASS = [*TARGETED, BY_SOURCE]


def most_passes(starts: int, schedule: Schedule) -> int:
    """Of one class, without a budget or impatience."""
    alone = schedule.steps - schedule.trial if schedule.trial else 0
    together = schedule.steps - alone
    return schedule.batch * (starts * together + min(starts, schedule.keep) * alone)


def passes(effort: Effort) -> int:
    return most_passes(effort.starts, effort.schedule)


def test_latent_families_of_all_depths_get_the_same() -> None:
    assert len({first_effort(family) for family in LATENT_FAMILIES}) == 1
    assert len({last_schedule(family) for family in LATENT_FAMILIES}) == 1


@pytest.mark.parametrize("family", [*BY_CLASS, SHARED])
def test_every_family_has_an_effort(family: str) -> None:
    """A pseudo-family has one of its own, not that of patches for targets."""
    effort = first_effort(family)
    assert effort.starts >= 1
    assert effort.schedule.trial < effort.schedule.steps
    assert effort.schedule.keep <= effort.starts
    with pytest.raises(KeyError):
        first_effort(f"{family} of no kind" if "latent" not in family else "no kind")


@pytest.mark.parametrize("family", BY_CLASS)
def test_a_trial_is_cheap_and_the_rest_completes_it(family: str) -> None:
    first, trial, rest = first_effort(family), trial_effort(family), rest_schedule(family)
    assert passes(trial) < passes(first)
    assert trial.starts <= first.starts
    assert trial.schedule.steps == TRIAL_STEPS
    assert trial.schedule.steps + rest.steps == first.schedule.steps
    # Neither drops candidates half-way, and both aim at the same.
    assert trial.schedule.trial == rest.trial == 0
    assert trial.schedule.success == rest.success == first.schedule.success
    assert rest.batch == first.schedule.batch


@pytest.mark.parametrize("family", BY_CLASS)
def test_many_classes_cost_less_than_as_many_times_a_few(family: str) -> None:
    """At 43 classes, with as many followed as there can be."""
    followed = (PROMISING + DRAWN) * most_passes(1, rest_schedule(family))
    many = 43 * passes(trial_effort(family)) + followed
    assert many < 43 * passes(first_effort(family))
    assert PROMISING + DRAWN > FEW_CLASSES


@pytest.mark.parametrize("family", TARGETED)
def test_a_second_look_is_harder(family: str) -> None:
    first, second = first_effort(family), second_effort(family)
    assert second.schedule.batch >= first.schedule.batch
    assert second.schedule.steps > first.schedule.steps
    last = last_schedule(family)
    assert last.success > first.schedule.success
    assert last.weight < first.schedule.weight
