"""Soft histograms and divergences, against SciPy, NumPy and the dense formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.spatial import distance
from torch import Tensor

from undoor.align.divergence import (
    BIN_WIDTH,
    DIVERGENCES,
    SLOPE,
    jensen_shannon,
    kullback_leibler,
    soft_histogram,
    total_variation,
)

sample = hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 40)),
                    elements=st.floats(-4, 4, width=32))  # fmt: skip


def dense(values: Tensor, low: Tensor, bins: int) -> Tensor:
    """The paper's Eq. 5: every value against every edge; the outer bins are open."""
    values, low = values.double(), low.double()
    edges = low[:, None] + BIN_WIDTH * torch.arange(bins + 1)
    beyond = torch.sigmoid(SLOPE * (values[:, :, None] - edges[:, None, :]))
    inner = beyond[:, :, 1:-1]
    first, last = torch.ones_like(beyond[:, :, :1]), torch.zeros_like(beyond[:, :, :1])
    steps = torch.cat([first, inner, last], 2)
    return (steps[:, :, :-1] - steps[:, :, 1:]).mean(1)


@given(sample, st.integers(1, 60), st.floats(-4, 1))
def test_against_the_dense_formula(values: np.ndarray, bins: int, start: float) -> None:
    x = torch.from_numpy(values)
    low = start + 0.03 * torch.arange(len(x))
    histogram = soft_histogram(x, low, bins)
    assert histogram.shape == (len(x), bins)
    np.testing.assert_allclose(histogram.numpy(), dense(x, low, bins).numpy(), atol=1e-3)


@given(sample, st.integers(1, 60), st.floats(-10, 10))
def test_sums_to_one(values: np.ndarray, bins: int, start: float) -> None:
    x = torch.from_numpy(values)
    histogram = soft_histogram(x, torch.full((len(x),), start), bins)
    assert torch.allclose(histogram.sum(1), torch.ones(len(x)), atol=1e-5)
    assert float(histogram.min()) >= -1e-6


def test_is_a_hard_histogram_away_from_the_edges() -> None:
    rng = np.random.default_rng(0)
    places = rng.integers(0, 12, (3, 500))
    values = torch.from_numpy(0.1 * places + 0.05).float()
    expected = np.stack([np.bincount(row, minlength=12) / 500 for row in places])
    histogram = soft_histogram(values, torch.zeros(3), 12)
    np.testing.assert_allclose(histogram.numpy(), expected, atol=2e-3)


def test_gradient_is_that_of_the_dense_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(2, 30, generator=generator, dtype=torch.float64)
    low, weights = torch.zeros(2, dtype=torch.float64), torch.rand(2, 10, generator=generator)
    gradients = []
    for histogram in (soft_histogram, dense):
        x = values.clone().requires_grad_()
        (histogram(x, low, 10) * weights).sum().backward()
        gradients.append(x.grad)
    assert gradients[0] is not None
    assert gradients[1] is not None
    assert bool((gradients[0] != 0).any())
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-3, rtol=1e-3)


# Divergences


def histograms(bins: int = 20, zeros: bool = False) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(bins), 6), rng.dirichlet(np.ones(bins), 6)
    if zeros:
        p[:, rng.integers(0, bins, 5)] = 0
        q[:, rng.integers(0, bins, 5)] = 0
        p, q = (rows / rows.sum(1, keepdims=True) for rows in (p, q))
    return torch.from_numpy(p), torch.from_numpy(q)


@pytest.mark.parametrize("zeros", [False, True])
def test_total_variation(zeros: bool) -> None:
    p, q = histograms(zeros=zeros)
    expected = [distance.cityblock(a, b) / 2 for a, b in zip(p.numpy(), q.numpy(), strict=True)]
    np.testing.assert_allclose(total_variation(p, q).numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("zeros", [False, True])
def test_jensen_shannon(zeros: bool) -> None:
    p, q = histograms(zeros=zeros)
    pairs = zip(p.numpy(), q.numpy(), strict=True)
    expected = [distance.jensenshannon(a, b) ** 2 for a, b in pairs]
    np.testing.assert_allclose(jensen_shannon(p, q).numpy(), expected, atol=1e-6)


def test_kullback_leibler() -> None:
    p, q = histograms()
    expected = [stats.entropy(a, b) for a, b in zip(p.numpy(), q.numpy(), strict=True)]
    np.testing.assert_allclose(kullback_leibler(p, q).numpy(), expected, atol=1e-5)
    assert not torch.allclose(kullback_leibler(p, q), kullback_leibler(q, p), atol=1e-3)


def test_kullback_leibler_of_an_empty_bin_is_finite() -> None:
    p, q = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert float(kullback_leibler(p, q)) == pytest.approx(math.log(1e8), rel=1e-3)


@pytest.mark.parametrize("name", list(DIVERGENCES))
@given(seed=st.integers(0, 1000), bins=st.integers(1, 30))
def test_divergences_are_divergences(name: str, seed: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = (torch.from_numpy(rng.dirichlet(np.full(bins, 0.3))) for _ in range(2))
    divergence = DIVERGENCES[name]  # type: ignore[index]
    assert float(divergence(p, p)) == pytest.approx(0, abs=1e-9)
    assert float(divergence(p, q)) >= -1e-6
    most = {"tv": 1.0, "js": math.log(2), "kl": math.inf}[name]
    assert float(divergence(p, q)) <= most + 1e-6
    if name != "kl":
        assert float(divergence(p, q)) == pytest.approx(float(divergence(q, p)))


@pytest.mark.parametrize(("name", "most"), [("tv", 1.0), ("js", math.log(2))])
def test_disjoint_histograms_are_farthest(name: str, most: float) -> None:
    p, q = torch.tensor([0.5, 0.5, 0, 0]), torch.tensor([0, 0, 0.2, 0.8])
    assert float(DIVERGENCES[name](p, q)) == pytest.approx(most, abs=1e-5)  # type: ignore[index]
