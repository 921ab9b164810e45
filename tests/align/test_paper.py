"""The fit by gradient descent on a divergence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from undoor.align.divergence import DIVERGENCES, Divergence
from undoor.align.paper import fit_divergence
from undoor.align.units import by_unit
from undoor.vocabulary import Granularity


def sample(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def objective(clean: Tensor, other: Tensor, divergence: Divergence) -> float:
    """The divergence of ordinary histograms, by NumPy: 0.1 clean deviations a bin, ends open."""
    a, b = (
        (z.flatten().numpy() - clean.mean().item()) / clean.std().item() for z in (clean, other)
    )
    edges = np.arange(a.min(), a.max() + 0.1, 0.1)
    p, q = (np.histogram(x.clip(edges[0], edges[-1]), edges)[0] / len(x) for x in (a, b))
    return float(DIVERGENCES[divergence](torch.from_numpy(p), torch.from_numpy(q)))


@pytest.mark.parametrize("divergence", list(DIVERGENCES))
@pytest.mark.parametrize(
    ("shape", "granularity", "unit"),
    [
        ((200, 3, 3, 3), "channel", (3, 1, 1)),
        ((300, 2, 2, 2), "position", (2, 2, 2)),
        ((400, 4), "channel", (4,)),
    ],
)
def test_brings_a_shifted_sample_back(
    shape: tuple[int, ...],
    granularity: Granularity,
    unit: tuple[int, ...],
    divergence: Divergence,
) -> None:
    clean = 5 + 2 * sample(shape)
    triggered = 1.5 * (5 + 2 * sample(shape, 1)) - 4
    h = fit_divergence(clean, triggered, granularity, divergence=divergence)
    assert h.scale.shape == h.shift.shape == h.low.shape == h.high.shape == unit
    before, after, wanted = (by_unit(z, granularity) for z in (triggered, h(triggered), clean))
    for b, a, w in zip(before, after, wanted, strict=True):
        bare = stats.wasserstein_distance(b.numpy(), w.numpy())
        assert stats.wasserstein_distance(a.numpy(), w.numpy()) < 0.3 * bare


@pytest.mark.parametrize("divergence", list(DIVERGENCES))
@pytest.mark.parametrize("kind", ["outliers", "relu"])
def test_training_beats_its_start(
    monkeypatch: pytest.MonkeyPatch, divergence: Divergence, kind: str
) -> None:
    """Where distributions differ in shape the moments are a bad guess, the divergence a better."""
    clean = sample((1500, 1))
    if kind == "outliers":
        triggered = clean.clone()
        triggered[::20] += 10
    else:
        clean, triggered = clean.relu(), (sample((1500, 1), 1) + 1).relu()
    trained = fit_divergence(clean, triggered, "channel", divergence=divergence)
    monkeypatch.setattr("undoor.align.paper.STEPS", 0)
    start = fit_divergence(clean, triggered, "channel", divergence=divergence)
    before = objective(clean, start(triggered), divergence)
    assert objective(clean, trained(triggered), divergence) < 0.85 * before


def test_start_is_moments_and_clean_extremes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undoor.align.paper.STEPS", 0)
    clean = 3 + 2 * sample((500, 2))
    triggered = 1.7 * clean + 1
    h = fit_divergence(clean, triggered, "channel")
    torch.testing.assert_close(h.scale, torch.full((2,), 1 / 1.7), rtol=1e-2, atol=0)
    torch.testing.assert_close(h(triggered), clean, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(h.low, clean.amin(0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(h.high, clean.amax(0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("factor", [0.1, 1e3])
def test_scale_of_the_layer_does_not_matter(factor: float) -> None:
    clean, triggered = 1 + sample((400, 2)), 3 + 1.4 * sample((400, 2), 1)
    one = fit_divergence(clean, triggered, "channel")
    other = fit_divergence(factor * clean, factor * triggered, "channel")
    torch.testing.assert_close(other(factor * triggered) / factor, one(triggered), rtol=0, atol=0.1)


def test_dead_units_stay_finite() -> None:
    clean, triggered = sample((100, 3)), sample((100, 3), 1) + 2
    clean[:, 0] = 0.5
    triggered[:, 1] = -1
    clean[:, 2] = triggered[:, 2] = 0
    out = fit_divergence(clean, triggered, "channel")(triggered)
    assert bool(torch.isfinite(out).all())
    assert torch.allclose(out[:, 0], torch.tensor(0.5), atol=0.05)
    assert torch.allclose(out[:, 2], torch.tensor(0.0), atol=0.05)


def test_repeatable_and_without_gradients() -> None:
    clean, triggered = sample((100, 2)), 2 + sample((100, 2), 1)
    with torch.no_grad():
        one = fit_divergence(clean, triggered, "channel")
    two = fit_divergence(clean, triggered, "channel")
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), two.buffers(), strict=True))
    assert not any(buffer.requires_grad for buffer in one.buffers())


def test_many_bins_are_capped() -> None:
    """One value a million deviations out must not allocate ten million bins."""
    clean = sample((100_000, 1)) * 1e-3
    clean[0] = 1e4
    triggered = clean + 1
    h = fit_divergence(clean, triggered, "channel")
    assert math.isfinite(float(h(triggered).sum()))
