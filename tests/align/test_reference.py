"""The fit of the released code."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from undoor.align.reference import fit_upper_bound
from undoor.vocabulary import Granularity


def sample(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("affine", [True, False])
def test_is_a_batch_norm_re_estimated_on_triggered_inputs(affine: bool) -> None:
    """The released code puts triggered inputs through the BN in training mode: its statistics
    become theirs, and its output has the clean moments again."""
    norm = nn.BatchNorm2d(3, affine=affine, momentum=None, eps=1e-6)
    if affine:
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    clean, triggered = sample((80, 3, 4, 4)), 1 + 1.5 * sample((80, 3, 4, 4), 1)
    # Clean inputs as the network was trained on.
    norm.train()(clean)
    norm.eval()
    with torch.no_grad():
        h = fit_upper_bound(norm(clean), norm(triggered), "channel")
        corrected = norm(triggered) * h.scale + h.shift
        norm.reset_running_stats()
        norm.train()(triggered)
        expected = norm.eval()(triggered)
    torch.testing.assert_close(corrected, expected, rtol=1e-2, atol=1e-2)


def test_moments_agree() -> None:
    clean, triggered = 2 + 3 * sample((500, 4)), 5 + 0.7 * sample((500, 4), 1)
    h = fit_upper_bound(clean, triggered, "channel")
    affine = (triggered * h.scale + h.shift).numpy()
    np.testing.assert_allclose(affine.mean(0), clean.mean(0).numpy(), atol=1e-3)
    np.testing.assert_allclose(affine.std(0), clean.std(0, correction=0).numpy(), rtol=1e-3)


@pytest.mark.parametrize(
    ("shape", "granularity", "unit"),
    [
        ((30, 3, 2, 2), "channel", (3, 1, 1)),
        ((30, 3, 2, 2), "position", (3, 2, 2)),
        ((30, 5), "channel", (5,)),
    ],
)
def test_has_no_lower_bound(
    shape: tuple[int, ...], granularity: Granularity, unit: tuple[int, ...]
) -> None:
    h = fit_upper_bound(sample(shape), sample(shape, 1), granularity)
    assert h.scale.shape == h.shift.shape == h.low.shape == h.high.shape == unit
    assert bool((h.low == -torch.inf).all())
    assert bool(torch.isfinite(h.high).all())


def by_definition(wanted: Tensor, values: Tensor, bound: float) -> float:
    """The loss of the released code, in NumPy: counts in bins of 0.1 against soft counts."""
    w, h = wanted.numpy().astype(np.float64), np.minimum(values.numpy(), bound)
    bins = math.ceil((w.max() - w.min()) / 0.1)
    edges = w.min() + 0.1 * np.arange(bins + 1)
    counts, _ = np.histogram(w, edges)
    with np.errstate(over="ignore"):
        steps = 1 / (1 + np.exp(-150 * (h[:, None] - edges)))
    soft = (steps[:, :-1] - steps[:, 1:]).sum(0)
    return float(np.abs(soft - counts).sum() / (2 * len(h)))


def test_bound_is_trained() -> None:
    """A few triggered values lie beyond the clean ones; the loss at the bound found is no worse
    than at the clean maximum, from where training starts, and the bound has moved."""
    clean = sample((800, 2))
    triggered = clean.clone()
    triggered[::40] += 20
    h = fit_upper_bound(clean, triggered, "channel")
    for unit in range(2):
        values = triggered[:, unit] * h.scale[unit] + h.shift[unit]
        found = by_definition(clean[:, unit], values, float(h.high[unit]))
        start = by_definition(clean[:, unit], values, float(clean[:, unit].max()))
        assert found <= start + 1e-3
        assert float(h.high[unit]) != float(clean[:, unit].max())
        # Ten steps of 0.1 carry no farther than this.
        assert abs(float(h.high[unit] - clean[:, unit].max())) <= 1.05


def test_dead_units_stay_finite() -> None:
    clean, triggered = sample((50, 3)), sample((50, 3), 1)
    clean[:, 0] = 0.5
    triggered[:, 1] = -1
    clean[:, 2] = triggered[:, 2] = 0
    h = fit_upper_bound(clean, triggered, "channel")
    assert bool(torch.isfinite(h(triggered)).all())


def test_works_where_gradients_are_off() -> None:
    with torch.no_grad():
        h = fit_upper_bound(sample((50, 2)), 1 + sample((50, 2), 1), "channel")
    assert not any(buffer.requires_grad for buffer in h.buffers())


def test_counts_are_compared_at_one_scale() -> None:
    """Of the same clean values three times over, the bound is the same."""
    clean, triggered = sample((600, 3)), 2 + sample((600, 3), 1).abs()
    once, thrice = (fit_upper_bound(z, triggered, "channel") for z in (clean, clean.repeat(3, 1)))
    torch.testing.assert_close(thrice.high, once.high, rtol=0, atol=0.02)
    torch.testing.assert_close(thrice.scale, once.scale, rtol=0.01, atol=0)
