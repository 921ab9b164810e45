"""How low the combination of all families comes in models without a backdoor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from undoor.errors import UndoorError
from undoor.families.calibration import Lowest
from undoor.scan.combination import ABOVE, combination_of, for_classes
from undoor_bench.nulls.fitting import MIN_CLASSES, class_p_values, fit_agreement, fit_nulls
from undoor_bench.records import Record

# That of chance: no combination counts for more than it says.
MIN_EXCESS = 1.0
# The distribution is not fitted on fewer models.
MIN_MODELS = 10


def lowest_combinations(records: Sequence[Record]) -> dict[str, float]:
    """Return the lowest combination of each model's classes that are no target, by its name.

    As the lowest of ten classes. Each model is judged by nulls that were fitted on the others.
    """
    out = {}
    for left_out in records:
        rest = [record for record in records if record is not left_out]
        nulls = fit_nulls(rest)
        agreed = fit_agreement(rest, nulls)
        combination = combination_of(class_p_values(left_out, nulls), nulls, agreed)
        natural = np.delete(combination, left_out["targets"])
        if len(natural) >= MIN_CLASSES:
            out[str(left_out["model"])] = float(for_classes(natural, len(natural)).min())
    return out


def fit_lowest(combinations: Sequence[float]) -> Lowest:
    """Return their distribution.

    The excess is taken larger than fitted by one standard error, as the scales of the families are,
    and never below that of chance, so that no combination counts for more than it says.

    Raises
    ------
    UndoorError
        Fewer than ten models.
    """
    if len(combinations) < MIN_MODELS:
        raise UndoorError(
            f"expected at least {MIN_MODELS} models with at least {MIN_CLASSES} classes that are "
            f"no target, got {len(combinations)}"
        )
    depths = -np.log(np.asarray(combinations))
    threshold = float(np.quantile(depths, 1 - ABOVE))
    beyond = depths[depths > threshold] - threshold
    excess = float(beyond.mean()) * (1 + 1 / math.sqrt(len(beyond)))
    return Lowest(threshold, max(MIN_EXCESS, excess), len(depths))
