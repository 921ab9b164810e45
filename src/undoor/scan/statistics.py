"""How much smaller one class's trigger is than the others', and how often chance does that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from undoor.families.at_size import AtSize
from undoor.families.null import Null

# Sizes are positive.
TINY = 1e-6
# The classes of a calibrated null; the smallest of more is smaller.
NULL_CLASSES = 10
# The reference among the other classes: some of them may be targets as well.
LOWER = 0.25
# So many times below that of any model that the nulls are learned from, the lower quartile of the
# classes is no natural one: those classes are targets themselves, and no reference.
CROWD = 2.0
# So many times below, the classes may be targets.
PERHAPS_A_CROWD = 1.5
# How much it counts that a trigger is smaller than natural ones of other models. Chosen on the
# models that the nulls are learned from, among powers from 0 to 1: models differ more than classes.
ABSOLUTE = 0.3
# The standard deviation of a normal distribution in units of its median absolute deviation.
NORMAL = 1.4826
# A margin further above the others does not count for more.
MAX_LEAD = 100.0


def scores(sizes: Sequence[float | None], null: Null) -> NDArray[np.float64]:
    """Return how many times smaller each class's trigger is than those of the others [K].

    The ratio to the lower quartile of the other classes, raised where the trigger is also smaller
    than the smallest ones of other models as a rule: times (`null.natural` / size) ^ 0.3. A class
    that no trigger reached counts as `null.ceiling`. Where so many of the others are small that
    they must be targets, too, `null.least_others` stands for their quartile. Of an absolute null
    the other classes do not count: `null.natural` / size.

    Parameters
    ----------
    sizes
        Of every class, in class order, in the units of the family at 32 x 32 pixels.

    Examples
    --------
    >>> null = Null(natural=4.0, ceiling=16.0, location=0.0, scale=0.3)
    >>> scores([9.0, 9.0, 9.0, None, 0.9], null).round(1)
    array([ 0.8,  0.8,  0.8,  0.4, 15.6])
    """
    values = _filled(sizes, null)
    return np.array(
        [
            _contrast(value, _reference(np.delete(values, index), null), null)
            for index, value in enumerate(values)
        ]
    )


def crowded(sizes: Sequence[float | None], null: Null, times: float = CROWD) -> bool:
    """Return whether at least a quarter of the classes have unnaturally small triggers.

    Those are `times` smaller than any that the null was learned from, so that the classes must be
    targets.

    >>> null = Null(natural=20.0, ceiling=90.0, location=0.4, scale=0.2, least_others=9.0)
    >>> crowded([2.0, 3.0, 2.5, 20.0, 30.0, 25.0, 40.0, None], null)
    True
    >>> crowded([2.0, 13.0, 15.0, 20.0, 30.0, 25.0, 40.0, None], null)
    False
    """
    return _unnatural(lower_quartile(sizes, null), null, times)


def lower_quartile(sizes: Sequence[float | None], null: Null) -> float:
    """Return the lower quartile of all sizes, the ceiling standing for classes not reached."""
    return _quartile(_filled(sizes, null))


def score_beside(
    size: float | None, others: Sequence[float | None], null: Null, others_null: Null
) -> float:
    """Return the score of a single trigger, compared with those of another family; see `scores`.

    >>> null = Null(natural=40.0, ceiling=120.0, location=-0.8, scale=0.3)
    >>> round(score_beside(5.0, [30.0, 40.0, None], null, null), 1)
    13.1
    """
    (value,) = _filled([size], null)
    return _contrast(value, _reference(_filled(others, others_null), others_null), null)


def _contrast(value: float, reference: float, null: Null) -> float:
    if null.absolute:
        return float(null.natural / value)
    natural = max(1.0, null.natural / value) ** ABSOLUTE
    return float(reference / value * natural)


def _reference(others: NDArray[np.float64], null: Null) -> float:
    """Return the size that a class is compared with."""
    quartile = _quartile(others)
    return null.least_others if _unnatural(quartile, null, CROWD) else quartile


def _quartile(values: NDArray[np.float64]) -> float:
    return float(np.quantile(values, LOWER))


def _unnatural(quartile: float, null: Null, times: float) -> bool:
    return quartile < null.least_others / times


def without_scale(null: Null, sizes: Sequence[float | None]) -> Null:
    """Return the null for a space of inputs or a task about which nothing was learned.

    Only the other classes count.
    """
    reached = [size for size in sizes if size is not None]
    return replace(null, natural=0.0, ceiling=max(reached, default=1.0), least_others=0.0)


def margin_scores(
    margins: Sequence[float], plan: AtSize, *, absolute: bool = False
) -> NDArray[np.float64]:
    """Return how far the margin of each class is above those of the others [K].

    The difference to a part of their median, in units of 1 plus a part of their spread, since
    networks differ in both. As e to the power of that, so that the logarithm is what counts, as
    for `scores`. A median above 0 counts as 0: half of the classes are targets then, and no
    reference.

    Parameters
    ----------
    margins
        Of the clearest trigger of one size towards every class, in units of the margin of clean
        inputs.
    plan
        Of the family: the parts, `relative` and `spread`.
    absolute
        Whether the other classes do not count (`undoor.families.null.Null`).

    Examples
    --------
    >>> np.log(margin_scores([-2.0, -3.0, -2.0, 4.0], AtSize(1.0))).round(2)
    array([ 0., -1.,  0.,  6.])
    """
    values = np.asarray(margins, dtype=float)
    others = [values[:0] if absolute else np.delete(values, i) for i in range(len(values))]
    leads = [_lead(value, rest, plan) for value, rest in zip(values, others, strict=True)]
    return np.exp(np.clip(leads, -MAX_LEAD, MAX_LEAD))


def _lead(value: float, others: NDArray[np.float64], plan: AtSize) -> float:
    if len(others) == 0:
        return value
    middle = np.median(others)
    spread = NORMAL * np.median(np.abs(others - middle))
    return float((value - plan.relative * min(middle, 0.0)) / (1 + plan.spread * spread))


def p_values(
    score: NDArray[np.float64], null: Null, classes: int = NULL_CLASSES
) -> NDArray[np.float64]:
    """Return the probability, for each score, that a clean model's highest score is as high.

    A Gumbel distribution of the logarithm of that highest score, the limit for the largest of many,
    fitted on models without a backdoor; its location moves with the logarithm of `classes`.
    """
    return np.asarray(stats.gumbel_r.sf(np.log(score), _location(null, classes), null.scale))


def needed_score(null: Null, alpha: float, classes: int = NULL_CLASSES) -> float:
    """Return the score whose p-value is `alpha`: the inverse of `p_values`.

    >>> null = Null(natural=4.0, ceiling=16.0, location=0.0, scale=0.3)
    >>> p_values(np.array([needed_score(null, 0.02)]), null).round(6)
    array([0.02])
    """
    return math.exp(float(stats.gumbel_r.isf(alpha, _location(null, classes), null.scale)))


def needed_size(
    sizes: Sequence[float | None],
    null: Null,
    alpha: float,
    classes: int = NULL_CLASSES,
    *,
    others_null: Null | None = None,
) -> float:
    """Return the size below which a trigger of one more class would have had a p-value of `alpha`.

    Parameters
    ----------
    others_null
        Of `sizes`, where those are of another family.
    """
    others = _reference(_filled(sizes, others_null or null), others_null or null)
    if null.absolute:
        return null.natural / needed_score(null, alpha, classes)
    relative = others / needed_score(null, alpha, classes)
    if relative >= null.natural:
        return relative
    return float((relative * null.natural**ABSOLUTE) ** (1 / (1 + ABSOLUTE)))


def _filled(sizes: Sequence[float | None], null: Null) -> NDArray[np.float64]:
    """Sizes [K] up to the ceiling, which stands for a class that no trigger reached."""
    values = [null.ceiling if size is None else size for size in sizes]
    return np.clip(np.array(values), TINY, null.ceiling)


def _location(null: Null, classes: int) -> float:
    """Return the location of the highest log score of so many classes."""
    return null.location + null.scale * math.log(classes / NULL_CLASSES)
