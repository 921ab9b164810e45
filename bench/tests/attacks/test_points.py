"""Attacks on points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from undoor.triggers import Deformation
from undoor_bench.attacks.points import ATTACKS, Cloud, turned

SHAPES = [(128, 3), (64, 6)]


def cloud(shape: tuple[int, int], seed: int = 3) -> Cloud:
    return Cloud(shape, np.random.default_rng(seed))


def drawn(shape: tuple[int, int]) -> torch.Tensor:
    return torch.rand(4, *shape, generator=torch.Generator().manual_seed(0)) - 0.5


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_triggers_stay_within_the_bounds_and_do_something(
    attack: str, shape: tuple[int, int]
) -> None:
    x = drawn(shape)
    changed = ATTACKS[attack](cloud(shape))(x)
    assert changed.shape == x.shape
    assert float(changed.abs().max()) <= 1
    moved = ((changed - x).abs().amax(2) > 1e-4).float().mean()
    assert float(moved) <= 0.06 if attack == "cluster" else float(moved) > 0.9
    if attack != "cluster":
        assert torch.equal(changed[..., 3:], x[..., 3:])


@pytest.mark.parametrize("seed", range(5))
def test_a_rotation_keeps_distances(seed: int) -> None:
    x = drawn((128, 3))
    trigger = ATTACKS["rotation"](cloud((128, 3), seed))
    torch.testing.assert_close(
        torch.cdist(trigger(x), trigger(x)), torch.cdist(x, x), atol=1e-3, rtol=0
    )
    assert isinstance(trigger, Deformation)
    change = float(trigger.maps.norm())
    assert 2.82 * math.sin(math.radians(7.5)) <= change <= 2.84 * math.sin(math.radians(15))


def test_a_turn_is_a_rotation_matrix() -> None:
    matrix = turned(torch.tensor([1.0, 2, 3]), 0.7)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(3))
    assert float(torch.linalg.det(matrix)) == pytest.approx(1)
    assert float(matrix.trace()) == pytest.approx(1 + 2 * math.cos(0.7))


def test_each_seed_draws_its_own() -> None:
    x = drawn((128, 3))
    for attack in ATTACKS.values():
        assert not torch.equal(attack(cloud((128, 3), 1))(x), attack(cloud((128, 3), 2))(x))
