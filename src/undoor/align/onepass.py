"""The `onepass` fit of one site: moments and range in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from undoor.align.transform import Correction
from undoor.align.units import like_map, over_values
from undoor.vocabulary import Granularity

# A unit that the trigger holds constant has no spread to restore: stretching what is left would
# amplify noise, and clean inputs that pass the correction.
LARGEST_SCALE = 2.0
SMALLEST_VARIANCE = 1e-6
UPPER_TAIL = 0.001
VALUES_FOR_RANGE = 20_000


def fit_moments(
    clean: Tensor,
    triggered: Tensor,
    granularity: Granularity,
    *,
    affine: bool = True,
    clip: bool = True,
) -> Correction:
    """Return the correction that gives triggered activations the clean mean, variance and range.

    scale = sigma_clean / sigma_triggered (at most 2), shift so that the means agree: the paper's
    mu and sigma in closed form. The bounds are the clean minimum and, per channel, the clean
    99.9 % point (per position, where n values have no such tail, the maximum).

    Parameters
    ----------
    clean, triggered
        Activations [n, C, ...] and [m, C, ...] of inputs without and with the trigger.
    affine, clip
        Whether moments and range are restored; both, but where one is known to do harm or is to be
        measured alone.
    """
    clean_mean, clean_variance = _moments(clean, granularity)
    mean, variance = _moments(triggered, granularity)
    scale = ((clean_variance + SMALLEST_VARIANCE) / (variance + SMALLEST_VARIANCE)).sqrt()
    scale = scale.clamp(1 / LARGEST_SCALE, LARGEST_SCALE)
    low, high = _clean_range(clean, granularity)
    shift = clean_mean - scale * mean
    if not affine:
        scale, shift = torch.ones_like(scale), torch.zeros_like(shift)
    if not clip:
        low, high = torch.full_like(low, -torch.inf), torch.full_like(high, torch.inf)
    values = (scale, shift, low, high)
    return Correction(*(like_map(value, clean, granularity) for value in values))


def _moments(z: Tensor, granularity: Granularity) -> tuple[Tensor, Tensor]:
    """Mean and variance of each unit; in two passes, twice as fast as `torch.var_mean`."""
    mean = over_values(torch.mean, z, granularity)
    away = (z - like_map(mean, z, granularity)).square_()
    return mean, over_values(torch.mean, away, granularity)


def _clean_range(clean: Tensor, granularity: Granularity) -> tuple[Tensor, Tensor]:
    low = over_values(torch.amin, clean, granularity)
    if granularity == "position" or clean.dim() == 2:
        return low, over_values(torch.amax, clean, granularity)
    values = clean.transpose(0, 1).flatten(1)
    # The tail of a channel needs no more than a few thousand values; sorting all would cost more
    # than the forward pass.
    values = values[:, :: max(1, values.shape[1] // VALUES_FOR_RANGE)]
    beyond = max(1, round(UPPER_TAIL * values.shape[1]))
    return low, values.topk(beyond, 1).values[:, -1]
