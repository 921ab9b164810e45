"""The correction h."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from undoor.align.transform import Correction

finite = st.floats(-1e3, 1e3, width=32)


@given(scale=st.floats(-10, 10), shift=finite, ends=st.tuples(finite, finite), z=st.lists(finite))
def test_stays_within_its_bounds(
    scale: float, shift: float, ends: tuple[float, float], z: list[float]
) -> None:
    low, high = sorted(ends)
    h = Correction(*(torch.tensor([v]) for v in (scale, shift, low, high)))
    values = torch.tensor(z)[:, None]
    out = h(values)
    assert out.shape == values.shape
    assert bool((out >= h.low).all())
    assert bool((out <= h.high).all())
    expected = np.clip(np.float32(scale) * values.numpy() + np.float32(shift), low, high)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-4, atol=1e-2)


@given(st.integers(0, 500), st.sampled_from([(4,), (4, 5), (4, 3, 2)]))
def test_moves_channels_together_at_each_position(seed: int, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(seed)
    scale, shift = torch.randn(2, *shape, generator=generator)
    down, up = torch.randn(2, 2, 4, generator=generator)
    z = torch.randn(6, *shape, generator=generator)
    edge = torch.ones(shape)
    out = Correction(scale, shift, -2 * edge, 3 * edge, down, up.T)(z)
    y = (scale * z).movedim(1, -1).numpy()
    expected = y + y @ down.numpy().T @ up.numpy()
    expected = np.clip(np.moveaxis(expected, -1, 1) + shift.numpy(), -2, 3)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-4, atol=1e-4)


@given(
    mu=st.floats(-5, 5), sigma=st.floats(0.1, 5), omega=st.floats(0, 5), upsilon=st.floats(-5, 0)
)
def test_is_the_h_of_the_paper(mu: float, sigma: float, omega: float, upsilon: float) -> None:
    """h(z) = max(min((z - mu) / sigma, omega), upsilon)."""
    z = torch.linspace(-20, 20, 101)[:, None]
    h = Correction(*(torch.tensor([v]) for v in (1 / sigma, -mu / sigma, upsilon, omega)))
    expected = np.maximum(np.minimum((z.numpy() - mu) / sigma, omega), upsilon)
    np.testing.assert_allclose(h(z).numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "unit"),
    [((3, 4, 5), (3, 1, 1)), ((3, 4, 5), (3, 4, 5)), ((6,), (6,)), ((3, 7), (3, 1))],
)
def test_units(shape: tuple[int, ...], unit: tuple[int, ...]) -> None:
    """Each unit has its own numbers, each input the same."""
    scale = torch.arange(1.0, 1 + math.prod(unit)).reshape(unit)
    h = Correction(scale, 10 * scale, torch.full(unit, -1e6), torch.full(unit, 1e6))
    out = h(torch.ones(2, *shape))
    assert torch.equal(out[0], (11 * scale).expand(shape))
    assert torch.equal(out[0], out[1])


def test_no_lower_bound() -> None:
    one = torch.ones(1)
    h = Correction(one, 0 * one, -torch.inf * one, one)
    assert h(torch.tensor([[-1e30], [3.0]])).tolist() == [[pytest.approx(-1e30)], [1.0]]


def test_has_state_but_nothing_to_train() -> None:
    h = Correction(*(torch.full((2,), v, requires_grad=True) for v in (1.0, 2.0, 3.0, 4.0)))
    assert list(h.state_dict()) == ["scale", "shift", "low", "high"]
    assert list(h.parameters()) == []
    assert not h(torch.ones(1, 2)).requires_grad


def test_owns_its_numbers() -> None:
    """What is done to the tensors it was made of does not reach it."""
    whole = torch.ones(2, 3)
    parts = [whole.expand(4, 2, 3)[i, :, 0] for i in range(4)]
    h = Correction(*parts)
    whole.zero_()
    assert h.scale.tolist() == [1, 1]
    assert len({getattr(h, name).data_ptr() for name in ("scale", "shift", "low", "high")}) == 4
