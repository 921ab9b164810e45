"""How far one class stands out of all: the paper's MAD score, and p-values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MAD_TO_SD = 1.4826
# Sizes of one model's natural triggers never agree better than this (in log units); a smaller
# spread among a few classes is luck and would make any outlier look extreme.
LEAST_LOG_SPREAD = 0.12


def reciprocal(sizes: Sequence[float | None]) -> NDArray[np.float64]:
    """The statistic 1 / size [K]; 0 where no trigger worked.

    >>> reciprocal([2.0, None])
    array([0.5, 0. ])
    """
    return np.array([0.0 if size is None else 1.0 / max(size, 1e-9) for size in sizes])


def mad_scores(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
    """MADs above the median [K] (the paper, detection; 1.4826 MAD estimates one SD).

    Where more than half of the values agree, 12 % of the median stands in for the MAD.

    >>> mad_scores(np.array([1.0, 2.0, 3.0, 100.0])).round(1)
    array([-1. , -0.3,  0.3, 65.8])
    """
    values = _floored(statistic)
    centre = np.median(values)
    spread = MAD_TO_SD * np.median(np.abs(values - centre))
    return np.asarray((values - centre) / (spread or LEAST_LOG_SPREAD * centre))


def order_statistic_p_values(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-value [K] of each class being the largest of K draws from the null.

    The null is fitted to the log statistic of the *other* classes by median and MAD, since the
    classes that carry a backdoor must not shape it, as a Student t whose degrees of freedom are
    theirs less one; the largest of K independent draws exceeds a value with probability
    1 - F(value)^K (order-statistic p-value: Xiang, Miller, Kesidis, arXiv 1908.10498). With fewer
    than three other classes there is no null: 1 everywhere.

    >>> order_statistic_p_values(np.array([0.03, 0.031, 0.029, 0.033, 0.3])).round(3)
    array([0.997, 0.981, 0.999, 0.805, 0.001])
    """
    count = len(statistic)
    p_values = np.ones(count)
    if count < 4:
        return p_values
    logs = np.log(_floored(statistic))
    for index in range(count):
        others = np.delete(logs, index)
        centre = np.median(others)
        spread = MAD_TO_SD * np.median(np.abs(others - centre))
        z = (logs[index] - centre) / max(spread, LEAST_LOG_SPREAD)
        above = stats.t.sf(z, df=len(others) - 1)
        # log1p and expm1 keep what 1 - F^K would round away.
        p_values[index] = -np.expm1(count * np.log1p(-above)) if above < 1 else 1.0
    return p_values


def _floored(statistic: NDArray[np.float64]) -> NDArray[np.float64]:
    """A class that no trigger could reach says where the null ends, not how it is spread: half
    the smallest statistic of the others."""
    reached = statistic[statistic > 0]
    return np.maximum(statistic, reached.min() / 2 if len(reached) else 1.0)
