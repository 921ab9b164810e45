"""Fine-tuning at the worst weights nearby."""

from __future__ import annotations

import pytest
import torch

from bench_helpers.rival_work import CLEAN, NOTHING, acc, asr, backdoored, seeded, weights
from undoor_bench.rivals.common import Descent, loss_on, tunable
from undoor_bench.rivals.fine_tuning import fine_tuning
from undoor_bench.rivals.ft_sam import FTSAM, ft_sam, worst_moves

ROWS = torch.arange(len(CLEAN))


def test_moves_lie_on_the_ball_and_no_other_raises_the_loss_as_much() -> None:
    sizes, slopes = torch.rand(2, 50, generator=seeded())
    (move,) = worst_moves([sizes], [slopes], 0.3)
    assert float((move / sizes).norm()) == pytest.approx(0.3, rel=1e-4)
    best = float(move @ slopes)
    for seed in range(20):
        other = torch.randn(50, generator=seeded(seed)) * sizes
        other *= 0.3 / (other / sizes).norm()
        assert float(other @ slopes) < best


def test_no_slope_no_move() -> None:
    assert worst_moves([torch.ones(3)], [torch.zeros(3)], 2.0)[0].tolist() == [0, 0, 0]


def test_the_move_raises_the_loss_of_a_network() -> None:
    student = tunable(backdoored(), CLEAN)
    parameters = list(student.parameters())
    loss = loss_on(student, CLEAN, ROWS)
    moves = worst_moves(parameters, torch.autograd.grad(loss, parameters), 0.5)
    with torch.no_grad():
        for parameter, move in zip(parameters, moves, strict=True):
            parameter.add_(move)
        assert float(loss_on(student, CLEAN, ROWS)) > 2 * float(loss)


def test_without_a_radius_it_is_fine_tuning() -> None:
    few = Descent(steps=5)
    plain = fine_tuning(backdoored(), CLEAN, NOTHING, seeded(), settings=few)
    still = ft_sam(backdoored(), CLEAN, NOTHING, seeded(), settings=FTSAM(0.0, few))
    wide = ft_sam(backdoored(), CLEAN, NOTHING, seeded(), settings=FTSAM(2.0, few))
    assert torch.allclose(weights(plain), weights(still), atol=1e-6)
    assert not torch.allclose(weights(plain), weights(wide), atol=1e-4)
    for name, value in plain.named_buffers():
        assert torch.allclose(value, still.get_buffer(name), atol=1e-5), name


def test_weakens_the_backdoor_more_than_fine_tuning() -> None:
    plain = fine_tuning(backdoored(), CLEAN, NOTHING, seeded())
    flat = ft_sam(backdoored(), CLEAN, NOTHING, seeded())
    assert asr(flat) < asr(plain) - 0.2
    assert acc(flat) > 0.95
