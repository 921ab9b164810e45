"""The `paired` fit of one site: moments, then the linear map that undoes what pairs show."""

from __future__ import annotations

import torch
from scipy.linalg import eigh
from torch import Tensor

from undoor.align.onepass import SMALLEST_VARIANCE, fit_moments
from undoor.align.transform import Correction
from undoor.align.units import like_map, over_values
from undoor.device import array, from_array, on_cpu
from undoor.vocabulary import Granularity

# Combinations of channels that a trigger is thought to move: on the networks that the fit was made
# on 8, 16 and 32 gave the same within 0.2 points of SIA, 4 half a point less.
RANK = 16
# In the same variances as the activations': how far what n pairs show is trusted.
RIDGE = 0.1
# The weight of clean activations, which stay as they are, beside that of triggered ones. Clean
# inputs of the target then lose less of their margin, and the guard separates them better.
CLEAN_WEIGHT = 0.3
# Multiplications that the covariances of one site may take, and the minimum of rows per channel.
MAX_WORK = 20_000_000_000
MIN_ROWS = 4
# Sums of squares of anything larger overflow.
LARGEST = 1e15


def fit_pairs(
    clean: Tensor, triggered: Tensor, granularity: Granularity, *, clip: bool = True
) -> Correction:
    """Return the correction that brings each triggered activation nearest to its own clean one.

    First the moments and bounds of `fit_moments`, unit by unit. Of what the moments leave, c - h(t)
    of the same image at the same position, a ridge regression on all channels predicts what it can,
    cut to rank 16 (reduced-rank regression: A. Izenman, Journal of Multivariate Analysis 5, 1975).
    Clean activations, which are to stay as they are, count as pairs too, with a smaller weight.

    Moments compare distributions and do not use the pairing; pairs separate the trigger's part of
    an activation from the image's.

    Parameters
    ----------
    clean, triggered
        Activations [n, C, ...] of the same inputs without and with the trigger.
    clip
        Whether there are bounds.

    Returns
    -------
    Correction
        That of `fit_moments` where activations are not finite, or beyond 1e15.

    Raises
    ------
    ValueError
        Clean and triggered activations differ in shape.
    """
    if clean.shape != triggered.shape:
        raise ValueError(
            "expected clean and triggered activations of one shape, as of pairs, got "
            f"{tuple(clean.shape)} and {tuple(triggered.shape)}"
        )
    first = fit_moments(clean, triggered, granularity, clip=clip)
    mean = like_map(over_values(torch.mean, clean, granularity), clean, granularity)
    # The moments have brought the triggered mean to the clean one: one centre does for both.
    centred, away = clean - mean, first.scale * triggered + (first.shift - mean)
    if not all(_tame(each) for each in (centred, away)):
        # Nothing can be learned from such pairs; if the network overflows, calibration reports it.
        return first
    down, up = _regression(_rows(centred), _rows(away))
    constant = (first.shift - mean).movedim(0, -1) @ down.T @ up.T
    shift = first.shift + constant.movedim(-1, 0)
    return Correction(first.scale, shift, first.low, first.high, down, up)


def _tame(z: Tensor) -> bool:
    low, high = torch.aminmax(z)
    return bool(low > -LARGEST) and bool(high < LARGEST)


def _rows(z: Tensor) -> Tensor:
    """Return z [n, C, ...] as [rows, C], one row per position; of many, evenly spaced ones."""
    rows = z.movedim(1, -1).flatten(0, -2)
    channels = rows.shape[1]
    limit = max(MIN_ROWS * channels, MAX_WORK // channels**2)
    return rows[:: max(1, len(rows) // limit)]


def _regression(clean: Tensor, away: Tensor) -> tuple[Tensor, Tensor]:
    """Return down [r, C] and up [C, r] so that away + up (down away) is near clean, row by row.

    Parameters
    ----------
    clean, away
        Centred activations [rows, C] of the same inputs.
    """
    # As many numbers as there are channels squared: solved on the CPU, wherever the rows lie.
    products = (away.T @ away, clean.T @ clean, away.T @ clean)
    of_away, of_clean, between = (on_cpu(product).double() for product in products)
    of_away = of_away / len(away)
    seen = of_away + CLEAN_WEIGHT * of_clean / len(clean)
    wanted = between / len(away) - of_away
    ridge = (1 + CLEAN_WEIGHT) * SMALLEST_VARIANCE + seen.diagonal()
    coefficients = torch.linalg.solve(seen + RIDGE * ridge.diag(), wanted)
    predicted = coefficients.T @ seen @ coefficients
    rank = min(RANK, len(predicted))
    last = len(predicted) - 1
    _, vectors = eigh(array(predicted), subset_by_index=(last - rank + 1, last))
    up = from_array(vectors)
    return (coefficients @ up).T.to(away), up.to(away)
