"""From scores of clean images to a threshold with a wanted false-positive rate."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from undoor.align.guard_threshold import conformal_bound, min_scores
from undoor.errors import UndoorError


def threshold_at(clean_scores: Tensor, fpr: float) -> float:
    """Return the threshold that at most a share `fpr` of new clean inputs is expected to exceed.

    The split-conformal quantile (`conformal_bound`). An input is flagged where its score
    is *greater*, so ties cost detections and never false alarms. The bound is exact for clean
    images exchangeable with the inputs; of images that the detector was built from it holds only
    about (their statistics are in the score), so give it others where there are enough.

    Parameters
    ----------
    clean_scores
        [N], finite.
    fpr
        In (0, 1).

    Raises
    ------
    UndoorError
        `fpr` is no rate, a score is not finite, or there are fewer than (1 - fpr) / fpr scores, too
        few to hold the rate.

    Examples
    --------
    >>> threshold_at(torch.arange(19.0), 0.05), threshold_at(torch.arange(19.0), 0.5)
    (18.0, 9.0)
    """
    if not 0 < fpr < 1:
        raise UndoorError(f"expected a false-positive rate between 0 and 1, got {fpr}; try 0.05")
    if not bool(torch.isfinite(clean_scores).all()):
        raise UndoorError(
            "expected finite scores of clean images, got NaN or infinity; check the model's outputs"
        )
    threshold = conformal_bound(clean_scores, fpr)
    if math.isinf(threshold):
        raise UndoorError(
            f"a false-positive rate of {fpr:g} needs the scores of at least {min_scores(fpr)} "
            f"clean images, got {len(clean_scores)}; give more images or allow a higher rate"
        )
    return threshold
