"""How much smaller one class's trigger is than the others', and how often chance does that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from undoor.scan.calibration import Null

# Sizes are positive.
TINY = 1e-6
# The classes of a calibrated null; the smallest of more is smaller.
NULL_CLASSES = 10
# The reference among the other classes: some of them may be targets as well.
LOWER = 0.25
# What it counts that a trigger is smaller than natural ones of other models. Chosen on the models
# that the nulls are learned from, among powers from 0 to 1: models differ more than classes do.
ABSOLUTE = 0.3


def scores(sizes: Sequence[float | None], null: Null) -> NDArray[np.float64]:
    """How many times smaller each class's trigger is than those of the others [K].

    The ratio to the lower quartile of the other classes, raised where the trigger is also smaller
    than the smallest ones of other models as a rule: times (`null.natural` / size) ^ 0.3. A class
    that no trigger reached counts as `null.ceiling`.

    sizes : of every class, in class order, in the units of the family at 32 x 32 pixels.

    >>> null = Null(natural=4.0, ceiling=16.0, location=0.0, scale=0.3)
    >>> scores([9.0, 9.0, 9.0, None, 0.9], null).round(1)
    array([ 0.8,  0.8,  0.8,  0.4, 15.6])
    """
    values = _filled(sizes, null)
    out = np.empty(len(values))
    for index, value in enumerate(values):
        others = np.quantile(np.delete(values, index), LOWER)
        out[index] = others / value * max(1.0, null.natural / value) ** ABSOLUTE
    return out


def without_scale(null: Null, sizes: Sequence[float | None]) -> Null:
    """The null for inputs that are no images, about whose units nothing was learned: only the
    other classes count."""
    reached = [size for size in sizes if size is not None]
    return replace(null, natural=0.0, ceiling=max(reached, default=1.0))


def p_values(score: NDArray[np.float64], null: Null) -> NDArray[np.float64]:
    """Probability [K] that the highest score of a clean model's K classes is as high.

    A Gumbel distribution of the logarithm of that highest score, the limit for the largest of many,
    fitted on models without a backdoor there; its location moves with the logarithm of K.
    """
    return np.asarray(stats.gumbel_r.sf(np.log(score), _location(null, len(score)), null.scale))


def combined(p: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """One p-value a class [K] from those of the families, which depend on one another.

    The Cauchy combination (Liu and Xie, J. Am. Stat. Assoc. 115, 2020): near the smallest times
    their number where one family alone objects, less where several agree. A family that sees
    nothing at all counts as one that does not know, so that it cannot outvote the others.

    >>> combined({"a": np.array([0.001, 0.5]), "b": np.array([0.9, 0.9])}).round(4)
    array([0.002, 0.5  ])
    """
    table = np.clip(np.stack(list(p.values())), 1e-15, 0.5)
    return np.asarray(stats.cauchy.sf(np.mean(stats.cauchy.isf(table), axis=0)))


def needed_size(sizes: Sequence[float | None], null: Null, alpha: float) -> float:
    """The size below which a trigger of one more class would have had a p-value of `alpha`."""
    others = float(np.quantile(_filled(sizes, null), LOWER))
    highest = stats.gumbel_r.isf(alpha, _location(null, len(sizes)), null.scale)
    relative = others / math.exp(float(highest))
    if relative >= null.natural:
        return relative
    return float((relative * null.natural**ABSOLUTE) ** (1 / (1 + ABSOLUTE)))


def _filled(sizes: Sequence[float | None], null: Null) -> NDArray[np.float64]:
    """Sizes [K] up to the ceiling, which stands for a class that no trigger reached."""
    values = [null.ceiling if size is None else size for size in sizes]
    return np.clip(np.array(values), TINY, null.ceiling)


def _location(null: Null, classes: int) -> float:
    """Of the highest log score of so many classes."""
    return null.location + null.scale * math.log(classes / NULL_CLASSES)
