"""The closed-form fit, against numbers known beforehand and sorted samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from undoor.align.onepass import LARGEST_SCALE, VALUES_FOR_RANGE, fit_moments
from undoor.align.units import by_unit
from undoor.vocabulary import Granularity

CASES: list[tuple[tuple[int, ...], Granularity, tuple[int, ...]]] = [
    ((60, 3, 4, 5), "channel", (3, 1, 1)),
    ((60, 3, 4, 5), "position", (3, 4, 5)),
    ((60, 6), "channel", (6,)),
    ((60, 6), "position", (6,)),
    ((60, 3, 7), "channel", (3, 1)),
    ((60, 3, 7), "position", (3, 7)),
]


def activations(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Normal, every unit with a mean and a spread of its own."""
    generator = torch.Generator().manual_seed(seed)
    spread = 0.5 + torch.rand(shape[1:], generator=generator)
    centre = 3 * torch.randn(shape[1:], generator=generator)
    return centre + spread * torch.randn(shape, generator=generator)


def moved(clean: Tensor, granularity: Granularity) -> tuple[Tensor, Tensor, Tensor]:
    """clean * a + b with known a and b for each unit."""
    shape = clean.shape[1:] if granularity == "position" else (clean.shape[1],)
    generator = torch.Generator().manual_seed(9)
    ends = [1] * (clean.dim() - 2) if granularity == "channel" else []
    a = (0.6 + 1.2 * torch.rand(shape, generator=generator)).view(*shape, *ends)
    b = torch.randn(shape, generator=generator).view(*shape, *ends)
    return clean * a + b, a, b


@pytest.mark.parametrize(("shape", "granularity", "unit"), CASES)
def test_undoes_an_affine_shift(
    shape: tuple[int, ...], granularity: Granularity, unit: tuple[int, ...]
) -> None:
    clean = activations(shape)
    triggered, a, b = moved(clean, granularity)
    h = fit_moments(clean, triggered, granularity)
    assert h.scale.shape == h.shift.shape == h.low.shape == h.high.shape == unit
    torch.testing.assert_close(h.scale, 1 / a, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(h.shift, -b / a, rtol=1e-3, atol=1e-3)
    back, wanted = by_unit(h(triggered), granularity), by_unit(clean, granularity)
    # All but the clipped tail comes back to where it was.
    assert ((back - wanted).abs() < 1e-2).float().mean() > 0.995


@pytest.mark.parametrize(("shape", "granularity", "unit"), CASES)
def test_triggered_moments_become_the_clean_ones(
    shape: tuple[int, ...], granularity: Granularity, unit: tuple[int, ...]
) -> None:
    """Whatever the distribution: here a mixture. The clip is taken off to see the moments."""
    clean = activations(shape)
    odd = clean.roll(1, 0)
    triggered = torch.where(
        torch.arange(shape[0]).view(-1, *[1] * (len(shape) - 1)) % 5 == 0,
        clean + 1.0,
        0.5 * clean + 0.5 * odd,
    )
    h = fit_moments(clean, triggered, granularity)
    assert float(h.scale.min()) > 1 / LARGEST_SCALE
    assert float(h.scale.max()) < LARGEST_SCALE
    values = by_unit(triggered * h.scale + h.shift, granularity).numpy()
    wanted = by_unit(clean, granularity).numpy()
    np.testing.assert_allclose(values.mean(1), wanted.mean(1), atol=1e-4)
    np.testing.assert_allclose(values.std(1), wanted.std(1), rtol=1e-3)


@pytest.mark.parametrize(("shape", "granularity", "unit"), CASES)
def test_corrected_values_stay_in_the_clean_range(
    shape: tuple[int, ...], granularity: Granularity, unit: tuple[int, ...]
) -> None:
    clean = activations(shape)
    h = fit_moments(clean, clean, granularity)
    torch.testing.assert_close(h.scale, torch.ones(unit))
    ends = np.sort(by_unit(clean, granularity).numpy(), axis=1)
    np.testing.assert_allclose(h.low.flatten().numpy(), ends[:, 0])
    n = ends.shape[1]
    top = -max(1, round(0.001 * n)) if granularity == "channel" and len(shape) > 2 else -1
    np.testing.assert_allclose(h.high.flatten().numpy(), ends[:, top])


def test_tail_of_a_large_channel() -> None:
    """99.9 % of the clean values, taken from some of them: few lie above, but some do."""
    clean = activations((400, 2, 16, 16))
    assert clean[:, 0].numel() > 2 * VALUES_FOR_RANGE
    h = fit_moments(clean, clean + 1, "channel")
    above = (clean > h.high).float().mean((0, 2, 3))
    assert bool((above > 0.0003).all())
    assert bool((above < 0.003).all())
    assert torch.equal(h.low.flatten(), clean.amin((0, 2, 3)))


def test_units_do_not_mix() -> None:
    """Moving one unit changes the correction of that unit alone."""
    clean = activations((50, 3, 4, 4))
    triggered = clean.clone()
    triggered[:, 1] += 5
    h = fit_moments(clean, triggered, "channel")
    torch.testing.assert_close(h.shift.flatten(), torch.tensor([0.0, -5, 0]), atol=1e-3, rtol=0)
    local = clean.clone()
    local[:, 1, 2, 3] += 5
    h = fit_moments(clean, local, "position")
    expected = torch.zeros(3, 4, 4)
    expected[1, 2, 3] = -5
    torch.testing.assert_close(h.shift, expected, atol=1e-3, rtol=0)


@given(factor=st.floats(1e-3, 1e3))
def test_stretch_is_limited(factor: float) -> None:
    """A unit that the trigger holds still has no spread to restore."""
    clean = activations((50, 3))
    centre = clean.mean(0)
    h = fit_moments(clean, centre + 2 + factor * (clean - centre), "channel")
    assert float(h.scale.min()) >= 1 / LARGEST_SCALE - 1e-6
    assert float(h.scale.max()) <= LARGEST_SCALE + 1e-6
    # The means agree even where the spreads may not.
    torch.testing.assert_close((centre + 2) * h.scale + h.shift, centre, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("granularity", ["channel", "position"])
@pytest.mark.parametrize("constant", ["clean", "triggered", "both"])
def test_units_without_spread(granularity: Granularity, constant: str) -> None:
    """Dead ReLUs: finite, and back to the clean value."""
    clean, triggered = activations((30, 2, 3, 3)), activations((30, 2, 3, 3), seed=4)
    if constant in ("clean", "both"):
        clean = torch.full_like(clean, 0.25)
    if constant in ("triggered", "both"):
        triggered = torch.full_like(triggered, 7.0)
    h = fit_moments(clean, triggered, granularity)
    out = h(triggered)
    assert bool(torch.isfinite(out).all())
    if constant != "triggered":
        assert torch.allclose(out, torch.tensor(0.25))


@pytest.mark.filterwarnings("ignore:var_mean")
@pytest.mark.parametrize("granularity", ["channel", "position"])
@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (1, 5)])
def test_one_image(shape: tuple[int, ...], granularity: Granularity) -> None:
    """A fold of the cross-validation may hold a single image of a source class."""
    clean, triggered = activations(shape), activations(shape, seed=2)
    h = fit_moments(clean, triggered, granularity)
    assert bool(torch.isfinite(h(triggered)).all())


def test_one_half_of_the_correction() -> None:
    """Moments without range, and range without moments."""
    clean, triggered = activations((200, 3, 4, 4)), 3 * activations((200, 3, 4, 4), seed=2) + 1
    both = fit_moments(clean, triggered, "channel")
    affine = fit_moments(clean, triggered, "channel", clip=False)
    clip = fit_moments(clean, triggered, "channel", affine=False)
    expected = triggered * both.scale + both.shift
    torch.testing.assert_close(affine(triggered), expected)
    torch.testing.assert_close(clip(triggered), triggered.clamp(both.low, both.high))
    torch.testing.assert_close(both(triggered), expected.clamp(both.low, both.high))
