"""Unlearning of shared perturbations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench_helpers.rival_work import CLEAN, NOTHING, acc, asr, backdoored, seeded
from undoor.classifier import Classifier
from undoor_bench.rivals.ibau import IBAU, hypergradient, ibau, worst_shared


def test_hypergradient_of_a_problem_with_a_known_answer() -> None:
    """The point follows weights as A w; the outer loss |d - c|^2 / 2 + w_1 gives
    A^T (A w - c) + (1, 0)."""
    matrix = torch.randn(3, 2, generator=seeded())
    goal = torch.randn(3, generator=seeded(1))
    weights = torch.randn(2, generator=seeded(2), requires_grad=True)

    def inner(d: Tensor) -> Tensor:
        return 0.5 * (d - matrix @ weights).square().sum()

    def outer(d: Tensor) -> Tensor:
        return 0.5 * (d - goal).square().sum() + weights[0]

    point = (matrix @ weights).detach()
    _, (found,) = hypergradient(outer, inner, point, [weights], steps=300, rate=0.1)
    wanted = matrix.T @ (point - goal) + torch.tensor([1.0, 0.0])
    assert torch.allclose(found, wanted, atol=1e-4)
    _, (direct,) = hypergradient(outer, inner, point, [weights], steps=0, rate=0.1)
    assert torch.allclose(direct, torch.tensor([1.0, 0.0]))


def test_weights_beside_the_inner_loss_get_no_more_than_their_direct_part() -> None:
    used, unused = (torch.ones((), requires_grad=True) for _ in range(2))
    _, gradients = hypergradient(
        lambda d: d * used, lambda d: (d - used) ** 2, torch.ones(()), [used, unused],
        steps=5, rate=0.1,
    )  # fmt: skip
    assert float(gradients[1]) == 0
    assert float(gradients[0]) > 1


def test_the_worst_perturbation_is_bounded_and_moves_answers() -> None:
    classifier = backdoored()
    shared = worst_shared(classifier, CLEAN, seeded(), IBAU())
    assert shared.shape == (1, 8, 8)
    # The radius of 10 is meant for 3,072 values, here are 64.
    assert float(shared.norm()) <= 10 * (64 / 3072) ** 0.5 + 1e-4
    answers = classifier.predict(CLEAN.images)
    moved = (classifier.predict(CLEAN.images + shared) != answers).float().mean()
    other = torch.randn(shared.shape, generator=seeded())
    other *= shared.norm() / other.norm()
    by_chance = (classifier.predict(CLEAN.images + other) != answers).float().mean()
    assert float(moved) > float(by_chance) + 0.3


def test_units_are_those_of_the_range() -> None:
    """The same network on pixels of 0 to 255 is given the same perturbation."""
    wide = Classifier(backdoored().network, input_shape=(1, 8, 8), bounds=(0, 255), scale=1 / 255)
    bright = type(CLEAN)(255 * CLEAN.images, CLEAN.labels)
    few = IBAU(inner_steps=5)
    one, other = (
        worst_shared(c, d, seeded(), few) for c, d in ((backdoored(), CLEAN), (wide, bright))
    )
    assert torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("norm", [True, False])
def test_unlearns_the_backdoor(norm: bool) -> None:
    out = ibau(backdoored(norm), CLEAN, NOTHING, seeded())
    assert asr(out) < 0.5
    assert acc(out) > 0.85
    if norm:
        for name, value in out.named_buffers():
            assert torch.equal(value, backdoored().get_buffer(name)), name
