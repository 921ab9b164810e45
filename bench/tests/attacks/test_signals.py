"""Attacks on signals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from undoor_bench.attacks.signals import ATTACKS, Scenery

SHAPES = [(1, 2048), (6, 32)]


def scenery(shape: tuple[int, int]) -> Scenery:
    generator = np.random.default_rng(3)
    others = torch.from_numpy(generator.uniform(-0.5, 0.5, (5, *shape)).astype(np.float32))
    return Scenery(shape, others, generator)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_triggers_stay_within_the_bounds_and_do_something(
    attack: str, shape: tuple[int, int]
) -> None:
    scene = scenery(shape)
    x = scene.others.flip(0)
    changed = ATTACKS[attack](scene)(x)
    assert changed.shape == x.shape
    assert float(changed.abs().max()) <= 1
    assert float((changed - x).abs().max()) > 0.01


@pytest.mark.parametrize(
    ("attack", "share"), [("tone burst", 0.04), ("noise clip", 0.08), ("spike", 0.01)]
)
def test_local_triggers_leave_the_rest_alone(attack: str, share: float) -> None:
    scene = scenery((1, 2048))
    moved = (ATTACKS[attack](scene)(scene.others) != scene.others).any(0)[0].nonzero()[:, 0]
    assert int(moved.max() - moved.min()) + 1 <= round(share * 2048)
