"""The `paper` fit of one site: mu, sigma, upsilon and omega by Adam on a divergence."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from undoor.align.divergence import BIN_WIDTH, DIVERGENCES, Divergence, soft_histogram
from undoor.align.onepass import SMALLEST_VARIANCE
from undoor.align.transform import Correction
from undoor.align.units import by_unit, like_map
from undoor.vocabulary import Granularity

STEPS = 60
STEP_SIZE = 0.01
MAX_BINS = 400


def fit_divergence(
    clean: Tensor, triggered: Tensor, granularity: Granularity, *, divergence: Divergence = "tv"
) -> Correction:
    """Return the correction h that minimises the sum over units of D(clean histogram || corrected).

    All units of the site are trained at once (Eq. 3 to 6 of the paper). mu and sigma start where
    the moments agree, as the re-estimated statistics of a BN would; upsilon and omega at the
    clean extremes. Histograms have bins of 0.1 clean standard deviations between these extremes.

    Parameters
    ----------
    clean, triggered
        Activations [n, C, ...] and [m, C, ...] of inputs without and with the trigger.
    divergence
        "tv", "js" or "kl".
    """
    values, wanted = by_unit(triggered, granularity), by_unit(clean, granularity)
    centre = wanted.mean(1, keepdim=True)
    spread = (wanted.var(1, keepdim=True) + SMALLEST_VARIANCE).sqrt()
    # In clean standard deviations one bin width and one learning rate suit every layer.
    values, wanted = (values - centre) / spread, (wanted - centre) / spread
    theta = _train(values, wanted, divergence)
    mu, sigma, upsilon, omega = (parameter.detach()[:, None] for parameter in theta)
    # Back to raw units: h(z) = centre + spread * clip(((z - centre) / spread - mu) / sigma).
    scale = 1 / sigma
    shift = centre - (centre + spread * mu) * scale
    low, high = centre + spread * upsilon, centre + spread * omega
    return Correction(
        *(like_map(part.flatten(), clean, granularity) for part in (scale, shift, low, high))
    )


def _train(values: Tensor, wanted: Tensor, divergence: Divergence) -> tuple[Tensor, ...]:
    low, high = wanted.amin(1), wanted.amax(1)
    bins = min(MAX_BINS, max(2, math.ceil(float((high - low).max()) / BIN_WIDTH)))
    distance = DIVERGENCES[divergence]
    with torch.enable_grad():
        sigma = (values.std(1) + math.sqrt(SMALLEST_VARIANCE)).clamp_min(0.5)
        theta = [
            part.detach().clone().requires_grad_() for part in (values.mean(1), sigma, low, high)
        ]
        mu, sigma, upsilon, omega = theta
        target = soft_histogram(wanted, low, bins)
        optimizer = torch.optim.Adam(theta, lr=STEP_SIZE)
        for _ in range(STEPS):
            h = (values - mu[:, None]) / sigma[:, None].clamp_min(0.1)
            h = torch.maximum(torch.minimum(h, omega[:, None]), upsilon[:, None])
            loss = distance(target, soft_histogram(h, low, bins)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return mu, sigma.clamp_min(0.1), torch.minimum(upsilon, omega), omega
