"""Batches, descent and the held-out part."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench_helpers.rival_work import CLEAN, backdoored, seeded
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.progress import silent
from undoor_bench.rivals.common import (
    Descent,
    descend,
    hold_out,
    loss_on,
    minibatches,
    norms,
    statistics_kept,
    tunable,
)


def test_every_image_once_before_any_again() -> None:
    rows = list(minibatches(12, 4, 6, seeded()))
    for half in (rows[:3], rows[3:]):
        assert torch.cat(half).sort().values.tolist() == list(range(12))
    assert not torch.equal(torch.cat(rows[:3]), torch.cat(rows[3:]))


def test_batches_are_full_or_all() -> None:
    assert [len(rows) for rows in minibatches(10, 4, 5, seeded())] == [4] * 5
    assert [len(rows) for rows in minibatches(3, 64, 2, seeded())] == [3, 3]


def test_held_out_classes_are_balanced_and_nothing_is_lost() -> None:
    labels = torch.arange(6).repeat_interleave(10)[torch.randperm(60, generator=seeded(1))]
    clean = CleanSet(torch.arange(60.0).view(60, 1, 1, 1), labels)
    kept, held = hold_out(clean, 0.3, seeded())
    assert held.labels.bincount().tolist() == [3] * 6
    together = torch.cat([kept.images, held.images]).flatten()
    assert together.sort().values.tolist() == list(range(60))
    assert all(
        int(clean.labels[int(x)]) == int(y) for x, y in zip(held.images, held.labels, strict=True)
    )
    other = hold_out(clean, 0.3, seeded(5))[1]
    assert not torch.equal(held.images.flatten().sort()[0], other.images.flatten().sort()[0])


def test_few_of_many_classes_are_held_out_as_well_as_can_be() -> None:
    clean = CleanSet(torch.zeros(86, 1, 1, 1), torch.arange(43).repeat(2))
    _, held = hold_out(clean, 0.3, seeded())
    assert len(held) == 25
    assert int(held.labels.bincount().max()) == 1


@pytest.mark.parametrize("share", [0.0, 1.0, 0.01])
def test_no_part_may_be_empty(share: float) -> None:
    with pytest.raises(UndoorError, match="cannot be divided"):
        hold_out(CleanSet(torch.zeros(4, 1, 1, 1), torch.zeros(4).long()), share, seeded())


def test_descent_lowers_the_loss_and_tells_how_far_it_is() -> None:
    student = tunable(backdoored(norm=False), CLEAN)
    rows = torch.arange(len(CLEAN))
    before = float(loss_on(student, CLEAN, rows).detach())
    told: list[tuple[str, int, int]] = []

    def gradients(rows: Tensor) -> Tensor:
        loss = loss_on(student, CLEAN, rows)
        loss.backward()
        return loss

    descend(
        student,
        len(CLEAN),
        gradients,
        Descent(steps=20),
        seeded(),
        "here",
        lambda *args: told.append(args),
    )
    assert float(loss_on(student, CLEAN, rows).detach()) < before
    assert told == [("here", step, 20) for step in range(1, 21)]


def test_a_loss_that_is_not_finite_ends_it() -> None:
    student = tunable(backdoored(norm=False), CLEAN)
    with pytest.raises(UndoorError, match=r"became inf in there; use a lower rate"):
        descend(
            student,
            4,
            lambda rows: torch.tensor(torch.inf),
            Descent(steps=1),
            seeded(),
            "there",
            silent,
        )


def test_statistics_rest_only_within() -> None:
    student = tunable(backdoored(), CLEAN)
    (first, *_) = norms(student)
    mean = first.running_mean
    assert mean is not None
    before = mean.clone()
    with statistics_kept(student):
        student(CLEAN.images)
    assert torch.equal(mean, before)
    student(CLEAN.images)
    assert not torch.equal(mean, before)


def test_dropout_stays_off() -> None:
    classifier = backdoored()
    student = tunable(classifier, CLEAN)
    training = {type(m).__name__ for m in student.modules() if m.training}
    assert training == {"BatchNorm2d"}
