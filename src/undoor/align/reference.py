"""The `reference` fit of one site: the authors' released code, which differs from the paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from undoor.align.divergence import BIN_WIDTH, SLOPE
from undoor.align.onepass import SMALLEST_VARIANCE
from undoor.align.transform import Correction
from undoor.align.units import by_unit, like_map
from undoor.vocabulary import Granularity

STEPS = 10
STEP_SIZE = 0.1


def fit_upper_bound(clean: Tensor, triggered: Tensor, granularity: Granularity) -> Correction:
    """Re-estimate BN statistics on triggered inputs, and train one upper bound per channel.

    mu and sigma get no gradient in that code, so they are the triggered mean and variance; only
    omega is trained, ten Adam steps per channel, on the total variation between the raw counts of a
    hard histogram of the clean activations and a soft one of the corrected (METHOD: the released
    code differs from the paper). There is no lower bound.

    Parameters
    ----------
    clean, triggered
        Activations [n, C, ...] and [m, C, ...] of inputs without and with the trigger.
    """
    wanted, values = by_unit(clean, granularity), by_unit(triggered, granularity)
    scale = ((wanted.var(1) + SMALLEST_VARIANCE) / (values.var(1) + SMALLEST_VARIANCE)).sqrt()
    shift = wanted.mean(1) - scale * values.mean(1)
    high = torch.stack(
        [
            _train_bound(wanted[unit], values[unit] * scale[unit] + shift[unit])
            for unit in range(len(wanted))
        ]
    )
    low = torch.full_like(high, -torch.inf)
    parts = (scale, shift, low, high)
    return Correction(*(like_map(part, clean, granularity) for part in parts))


def _train_bound(wanted: Tensor, values: Tensor) -> Tensor:
    """Return the upper bound of one channel."""
    low, high = float(wanted.min()), float(wanted.max())
    bins = max(1, math.ceil((high - low) / BIN_WIDTH))
    # Raw counts can be compared where there are as many clean values as triggered ones.
    counts = torch.histc(wanted, bins, low, low + bins * BIN_WIDTH) * (len(values) / len(wanted))
    edges = low + BIN_WIDTH * torch.arange(bins + 1, device=values.device)
    with torch.enable_grad():
        bound = torch.tensor(high, device=values.device, requires_grad=True)
        optimizer = torch.optim.Adam([bound], lr=STEP_SIZE)
        for _ in range(STEPS):
            h = torch.minimum(values, bound)
            beyond = torch.sigmoid(SLOPE * (h[:, None] - edges)).sum(0)
            loss = (beyond[:-1] - beyond[1:] - counts).abs().sum() / (2 * len(values))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return bound.detach()
