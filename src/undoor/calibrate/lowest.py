"""How low the combination of all families comes in models without a backdoor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from undoor.calibrate.nulls import class_p_values, fewest, fit_agreement, fit_nulls, teaching
from undoor.calibrate.observation import Observation
from undoor.errors import UndoorError
from undoor.families.calibration import Calibration, Scope
from undoor.families.null import Agreement, Lowest, Null
from undoor.progress import Progress, silent
from undoor.scan.combination import ABOVE, combination_of, for_classes, overall
from undoor.vocabulary import DEFAULT_ALPHA

# That of chance: no combination counts for more than it says.
MIN_EXCESS = 1.0
# The distribution is not fitted on fewer models.
MIN_MODELS = 10


def lowest_combinations(
    models: Sequence[Observation],
    *,
    absolute: bool = False,
    usual: Calibration | None = None,
    progress: Progress = silent,
) -> dict[str, float]:
    """Return the lowest combination of each model's classes that are no target, by its name.

    As the lowest of ten classes. Each model is judged by nulls that were fitted on the others. Of
    few classes, clean models alone.

    Parameters
    ----------
    models, absolute, usual
        As of `undoor.calibrate.fitted`.
    progress
        Progress callback.
    """
    out = {}
    judged = teaching(models, absolute=absolute)
    for done, left_out in enumerate(judged):
        progress("judging each model by the others", done, len(judged))
        rest = [model for model in models if model is not left_out]
        nulls, agreed = fit_families(rest, absolute=absolute, usual=usual)
        combination = combination_of(class_p_values(left_out, nulls), nulls, agreed)
        natural = np.delete(combination, left_out.targets)
        if len(natural) >= fewest(absolute=absolute):
            out[left_out.name] = float(for_classes(natural, len(natural)).min())
    progress("judging each model by the others", len(judged), len(judged))
    return out


def fit_families(
    models: Sequence[Observation], *, absolute: bool, usual: Calibration | None
) -> tuple[dict[str, Null], Agreement]:
    """Return the nulls of the families, and that of their agreement.

    With `usual`, a family in which no natural trigger of any model works, so that none can be
    learned from, has the null that it has there, if that holds for such models; and one that too
    few models show has none.
    """
    if usual is None:
        nulls = fit_nulls(models, absolute=absolute)
        return nulls, fit_agreement(models, nulls, absolute=absolute)
    searched = Counter(f for model in models for f in {item.family for item in model.evidence})
    middle = float(np.median([null.weight for null in usual.nulls.values()]))
    weights = {f: usual.nulls[f].weight if f in usual.nulls else middle for f in searched}
    nulls = fit_nulls(models, absolute=absolute, weights=weights)
    nulls = {f: null for f, null in nulls.items() if searched[f] >= min(MIN_MODELS, len(models))}
    if all(_covers(usual.scope, model) for model in models):
        nulls |= {f: null for f, null in usual.nulls.items() if f in searched.keys() - nulls.keys()}
    weight = usual.agreement.weight
    return nulls, fit_agreement(models, nulls, absolute=absolute, weight=weight)


def _covers(scope: Scope, model: Observation) -> bool:
    same = (scope.space, scope.task, scope.network) == (model.space, model.task, model.network)
    return same and scope.covers_size(model.shape)


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
            f"expected at least {MIN_MODELS} models with enough classes that are no target, got "
            f"{len(combinations)}; give more"
        )
    depths = -np.log(np.asarray(combinations))
    threshold = float(np.quantile(depths, 1 - ABOVE))
    beyond = depths[depths >= threshold] - threshold
    excess = float(beyond.mean()) * (1 + 1 / math.sqrt(len(beyond)))
    return Lowest(threshold, max(MIN_EXCESS, excess), len(depths))


def power(
    models: Sequence[Observation], nulls: Mapping[str, Null], agreed: Agreement, lowest: Lowest
) -> tuple[int, int] | None:
    """Return of how many backdoored models a target has a p-value of the usual level, and of all.

    Of those whose backdoor took, by nulls in which their other classes may count; None where there
    are none.
    """
    bad = [model for model in models if model.targets and model.took]
    if not bad:
        return None
    found = 0
    for model in bad:
        p = overall(class_p_values(model, nulls), nulls, agreed, lowest)
        found += bool(p[list(model.targets)].min() <= DEFAULT_ALPHA)
    return found, len(bad)
