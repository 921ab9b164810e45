"""The families' p-values of a class as one, and how well that one is known."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from undoor.families.null import Agreement, Lowest, Null
from undoor.scan.statistics import NULL_CLASSES, TINY

# Between 1 and the number below it.
ONE_STEP = float(np.finfo(np.float64).epsneg)
# What one family can add to the agreement.
MAX = 7.0
# The families' agreement, as one of them.
AGREED = "agreement"
# The share of models beyond the threshold of `Lowest`.
ABOVE = 0.3
# Normal quantile of either half of an interval of 90 %, and the least p-value that has one.
HALF = 1.645
MIN_P = 1e-300


def agreement(
    p: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return the agreement of all families about each class [K].

    The weighted sum of -log p, each at most 7, so that weak evidence of many families counts as
    much as strong evidence of one.

    >>> p = {"a": np.array([0.01, 1.0]), "b": np.array([0.02, 0.9])}
    >>> agreement(p, {"a": 1.0, "b": 0.5}).round(2)
    array([6.56, 0.05])
    """
    return np.asarray(sum(weights[f] * np.minimum(-np.log(q + TINY), MAX) for f, q in p.items()))


def agreement_p_values(total: NDArray[np.float64], null: Agreement) -> NDArray[np.float64]:
    """Return the p-value of each class's `agreement` [K] as the highest of ten classes.

    From a Gumbel distribution, as for the single families.
    """
    return np.asarray(stats.gumbel_r.sf(total, null.location, null.scale))


def for_classes(
    p: NDArray[np.float64], classes: int, *, of: int = NULL_CLASSES
) -> NDArray[np.float64]:
    """Convert p-values of the highest of `of` classes to those of the highest of `classes`.

    Where classes are independent (Sidak's correction, in either direction).

    >>> for_classes(np.array([0.02]), 1).round(4), for_classes(np.array([0.02]), 43).round(4)
    (array([0.002]), array([0.0832]))
    """
    below_one = np.minimum(p, 1 - ONE_STEP)
    return np.asarray(-np.expm1(classes / of * np.log1p(-below_one)))


def of_ten(p: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Convert p-values [K] of every family from the lowest of K to the lowest of ten.

    Families are combined as of ten classes, whatever K is.
    """
    return {family: for_classes(q, NULL_CLASSES, of=len(q)) for family, q in p.items()}


def combined(
    p: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """Combine the p-values of dependent families into one per class [K].

    The Cauchy combination (Liu and Xie, J. Am. Stat. Assoc. 115, 2020): near the smallest times
    their number where one family alone has a low one, less where several agree. A p-value above 0.5
    counts as 0.5, so that a family without evidence cannot outvote the others.

    Parameters
    ----------
    weights
        Of the families, positive; all the same where none are given.

    Examples
    --------
    >>> combined({"a": np.array([0.001, 0.5]), "b": np.array([0.9, 0.9])}).round(4)
    array([0.002, 0.5  ])
    """
    table = np.clip(np.stack(list(p.values())), 1e-15, 0.5)
    weight = [weights[family] for family in p] if weights else None
    return np.asarray(stats.cauchy.sf(np.average(stats.cauchy.isf(table), 0, weight)))


def overall(
    p: Mapping[str, NDArray[np.float64]],
    by_family: Mapping[str, Null],
    agreed: Agreement,
    lowest: Lowest,
    *,
    agreeing: Collection[str] | None = None,
) -> NDArray[np.float64]:
    """Return the p-value of every class [K].

    From the p-value of each family, and that of their agreement, which counts as one more family.

    The families are combined as they would be for ten classes, what comes out is compared with
    what does for models without a backdoor, and that is corrected for K once. Terms that were
    corrected already would be corrected once more by the agreement's null: clean models of two
    classes then come out below 0.02 every third time, and of 43 never.

    Parameters
    ----------
    p
        By family, of every class, as the lowest of K.
    agreeing
        The families with which `agreed` was learned; all where none are given.
    """
    combination = combination_of(p, by_family, agreed, agreeing=agreeing)
    return for_classes(as_lowest(combination, lowest), len(combination))


def combination_of(
    p: Mapping[str, NDArray[np.float64]],
    by_family: Mapping[str, Null],
    agreed: Agreement,
    *,
    agreeing: Collection[str] | None = None,
) -> NDArray[np.float64]:
    """Return the combination of all families and their agreement [K] as of ten classes.

    Parameters as of `overall`.
    """
    weights = {family: by_family[family].weight for family in p}
    ten = of_ten(p)
    learned = {f: q for f, q in ten.items() if agreeing is None or f in agreeing}
    if learned:
        ten[AGREED] = agreement_p_values(agreement(learned, weights), agreed)
        weights[AGREED] = agreed.weight
    return combined(ten, weights)


def as_lowest(combination: NDArray[np.float64], lowest: Lowest) -> NDArray[np.float64]:
    """Return the probability that the lowest combination of ten classes is as low as these.

    Exponential beyond the threshold, and in proportion to the depth before it.

    >>> as_lowest(np.array([1.0, 0.1, 0.001]), Lowest(2.3, 1.5, 60)).round(4)
    array([1.    , 0.2995, 0.0139])
    """
    depth = np.maximum(-np.log(combination), 0.0)
    beyond = ABOVE * np.exp(-np.maximum(depth - lowest.threshold, 0.0) / lowest.excess)
    before = 1 - (1 - ABOVE) * depth / lowest.threshold
    return np.where(depth > lowest.threshold, beyond, before)


def interval(p: NDArray[np.float64], lowest: Lowest) -> NDArray[np.float64]:
    """Return intervals of 90 % [K, 2] of the p-values of all K classes.

    They are as uncertain as the distribution of the lowest combination, which was fitted on some
    tens of models: the share beyond its threshold is that of a binomial distribution, and the
    excess has a standard error of one over the root of the models beyond it.

    Parameters
    ----------
    p
        As of `overall`, of every class.
    """
    ten = for_classes(p, NULL_CLASSES, of=len(p))
    units = np.maximum(np.log(ABOVE / np.maximum(ten, MIN_P)), 0.0)
    beyond = ABOVE * lowest.models
    spread = np.sqrt(units**2 / beyond + (1 - ABOVE) / beyond)
    ends = (ten * np.exp(sign * HALF * spread) for sign in (-1, 1))
    return np.stack([for_classes(np.minimum(end, 1.0), len(p)) for end in ends], 1)


def alone(
    alpha: float,
    family: str,
    by_family: Mapping[str, Null],
    agreed: Agreement,
    lowest: Lowest,
    classes: int,
) -> float:
    """Return the p-value of one family, as the lowest of K, that is `alpha` over all families.

    With no evidence from the others: the inverse of `overall` where one term is all there is.

    Parameters
    ----------
    alpha
        In (0, 0.3).
    family
        One of `by_family`, the families that are combined.
    classes
        K.
    """
    ten = float(for_classes(np.array([alpha]), NULL_CLASSES, of=classes)[0])
    depth = lowest.threshold + lowest.excess * math.log(ABOVE / min(ten, ABOVE))
    total = agreed.weight + sum(null.weight for null in by_family.values())
    share = math.exp(-depth) * by_family[family].weight / total
    return float(for_classes(np.array([share]), classes)[0])
