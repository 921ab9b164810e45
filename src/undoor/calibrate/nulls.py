"""Fit the nulls of trigger families on scans of models that are clean, or known to be not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from undoor.calibrate.observation import Observation
from undoor.errors import UndoorError
from undoor.families.at_size import AtSize
from undoor.families.null import Agreement, Null
from undoor.families.registry import family_named, judged_beside
from undoor.scan.combination import agreement, agreement_p_values, of_ten
from undoor.scan.report import ClassEvidence
from undoor.scan.statistics import (
    NULL_CLASSES,
    lower_quartile,
    margin_scores,
    p_values,
    score_beside,
    scores,
)

# A spread fitted on some tens of models is not trusted below this.
MIN_SCALE = 0.12
# Beyond this quantile of the natural sizes, how large a trigger is says nothing.
CEILING = 0.9
# Of fewer natural triggers a model says nothing about how much smaller the smallest is.
MIN_CLASSES = 5
MIN_ABSOLUTE = 2
# The p-value at which a family shows a backdoor, and the weight of one that shows none.
SHOWN = 0.02
MIN_WEIGHT = 0.25


def fit_nulls(
    models: Sequence[Observation],
    *,
    absolute: bool = False,
    weights: Mapping[str, float] | None = None,
) -> dict[str, Null]:
    """Return the null of every family from the natural triggers of these models.

    All classes of clean models, and of backdoored ones those that are no target, or, in families
    that go by the source, no source; of few classes, where a backdoor changes what the others are
    like, clean models alone.

    Parameters
    ----------
    models
        Scans of them.
    absolute
        As of `undoor.families.null.Null`: for few classes.
    weights
        Of the families, where none of the models has a backdoor to learn them from.
    """
    natural: dict[str, list[list[float | None]]] = {}
    lone: dict[str, list[tuple[float | None, list[float | None]]]] = {}
    for model in teaching(models, absolute=absolute):
        by_family = _natural(model)
        for shared in [family for family in by_family if judged_beside(family)]:
            size, *_ = by_family.pop(shared)
            others = by_family.get(str(judged_beside(shared)))
            if others and not model.targets:
                lone.setdefault(shared, []).append((size, others))
        for family, sizes in by_family.items():
            if len(sizes) >= fewest(absolute=absolute):
                natural.setdefault(family, []).append(sizes)
    nulls = {
        family: _fit_margins(each, plan, absolute=absolute)
        if (plan := family_named(family).at_size)
        else fit_null(each, absolute=absolute)
        for family, each in natural.items()
        if any(size is not None for sizes in each for size in sizes)
    }
    for family in [name for name in nulls if absolute or not family_named(name).crowds]:
        nulls[family] = replace(nulls[family], least_others=0.0)
    for shared, each in lone.items():
        if (beside := judged_beside(shared)) in nulls:
            nulls[shared] = fit_shared(each, nulls[beside], absolute=absolute)
    if weights is not None:
        return {f: replace(null, weight=weights.get(f, null.weight)) for f, null in nulls.items()}
    bad = [model for model in models if model.targets and model.took]
    shown = [_lowest_of_targets(model, nulls) for model in bad]
    return {
        family: replace(null, weight=_weight([p.get(family, 1.0) for p in shown]))
        for family, null in nulls.items()
    }


def teaching(models: Sequence[Observation], *, absolute: bool) -> list[Observation]:
    """Return the models whose natural triggers count: of few classes those that are clean."""
    return [model for model in models if not (absolute and model.targets)]


def fewest(*, absolute: bool) -> int:
    """Return how many natural triggers a model must have to teach something."""
    return MIN_ABSOLUTE if absolute else MIN_CLASSES


def fit_agreement(
    models: Sequence[Observation],
    nulls: Mapping[str, Null],
    *,
    absolute: bool = False,
    weight: float | None = None,
) -> Agreement:
    """Return the agreement of p-values over the classes that are no target, under `nulls`.

    Parameters
    ----------
    models, absolute, weight
        As of `fit_nulls`.

    Raises
    ------
    UndoorError
        No model has enough of them, or there are no nulls.
    """
    if not nulls:
        raise UndoorError(
            "expected a trigger family of which natural triggers work in the models, got none: "
            "nothing can be learned from them; give other models"
        )
    weights, minimum = {f: null.weight for f, null in nulls.items()}, fewest(absolute=absolute)
    totals = [agreement(of_ten(class_p_values(model, nulls)), weights) for model in models]
    rest = [
        np.delete(total, model.targets)
        for total, model in zip(totals, models, strict=True)
        if not (absolute and model.targets)
    ]
    highest = [float(natural.max()) for natural in rest if len(natural) >= minimum]
    if not highest:
        raise UndoorError(
            f"expected a model with at least {minimum} classes that are no target, got none"
        )
    fitted = _with_spread(Null(1.0, 1.0, 0.0, 1.0), highest)
    null = Agreement(fitted.location, fitted.scale)
    if weight is not None:
        return replace(null, weight=weight)
    shown = [
        float(agreement_p_values(t, null)[list(m.targets)].min())
        for t, m in zip(totals, models, strict=True)
        if m.targets and m.took
    ]
    return replace(null, weight=_weight(shown))


def _weight(p_values: Sequence[float]) -> float:
    """Return the share of backdoored models whose backdoor the family shows, and a little more."""
    return MIN_WEIGHT + sum(p <= SHOWN for p in p_values) / max(1, len(p_values))


def _lowest_of_targets(model: Observation, nulls: Mapping[str, Null]) -> dict[str, float]:
    """Return, by family, the lowest p-value of a true target."""
    return {
        family: float(p[list(model.targets)].min())
        for family, p in class_p_values(model, nulls).items()
    }


def class_p_values(model: Observation, nulls: Mapping[str, Null]) -> dict[str, NDArray[np.float64]]:
    """Return, by family, the p-value of every class [K].

    A shared patch whose images end in several classes speaks of the true targets.
    """
    by_family: dict[str, list[ClassEvidence]] = {}
    for item in model.evidence:
        by_family.setdefault(item.family, []).append(item)
    out = {}
    for family, evidence in by_family.items():
        if family not in nulls:
            continue
        null, beside = nulls[family], judged_beside(family)
        sizes, tried = [model.scaled(item) for item in evidence], model.classes
        if plan := family_named(family).at_size:
            margins = [item.margin or 0.0 for item in evidence]
            score = margin_scores(margins, plan, absolute=null.absolute)
        elif beside and beside not in by_family:
            continue
        elif beside:
            sources = [model.scaled(item) for item in by_family[beside]]
            score = np.array([score_beside(sizes[0], sources, null, nulls[beside])])
            tried = NULL_CLASSES
        else:
            score = scores(sizes, null)
        out[family] = np.ones(model.classes)
        for item, p in zip(evidence, p_values(score, null, tried), strict=True):
            several = model.targets if beside else ()
            for target in several if item.target is None else (item.target,):
                out[family][target] = min(out[family][target], p)
    return out


def fit_null(models: Sequence[Sequence[float | None]], *, absolute: bool = False) -> Null:
    """Return the null of one family, from the sizes of each model's classes (None: not reached).

    >>> fit_null([[4.0, 9.0, 8.0, None]] * 3).natural
    4.0
    """
    reached = [[size for size in sizes if size is not None] for sizes in models]
    middle = float(np.median([min(sizes) for sizes in reached if sizes]))
    ceiling = float(np.quantile([size for sizes in reached for size in sizes], CEILING))
    first = Null(middle, max(ceiling, middle), location=0.0, scale=1.0, absolute=absolute)
    first = replace(first, least_others=min(lower_quartile(sizes, first) for sizes in models))
    null = _with_spread(first, [math.log(scores(sizes, first).max()) for sizes in models])
    # The highest score of fewer classes is lower: brought to the usual number.
    return replace(null, location=float(null.location - _shift(null, models)))


def _fit_margins(models: Sequence[Sequence[float | None]], plan: AtSize, *, absolute: bool) -> Null:
    """Return the null of a family of fixed size, from the margins of each model's classes."""
    margins = [[each for each in model if each is not None] for model in models]
    natural = float(np.median([max(each) for each in margins]))
    null = _with_spread(
        Null(natural, ceiling=0.0, location=0.0, scale=1.0, absolute=absolute),
        [math.log(margin_scores(each, plan, absolute=absolute).max()) for each in margins],
    )
    return replace(null, location=float(null.location - _shift(null, margins)))


def _shift(null: Null, models: Sequence[Sequence[float | None]]) -> float:
    """Return by how much the highest of ten classes is above that of each model's, on average."""
    return float(np.mean([null.scale * math.log(len(each) / NULL_CLASSES) for each in models]))


def fit_shared(
    models: Sequence[tuple[float | None, Sequence[float | None]]],
    patches: Null,
    *,
    absolute: bool = False,
) -> Null:
    """Return the null of the shared patch, which moves images of all classes.

    It is fitted to its size and to those of the patches for single sources, in each clean model.

    Parameters
    ----------
    patches
        The null of the latter.
    """
    reached = [size for size, _ in models if size is not None] or [patches.ceiling]
    middle = float(np.median(reached))
    ceiling = float(np.quantile(reached, CEILING))
    first = Null(middle, ceiling, location=0.0, scale=1.0, absolute=absolute)
    return _with_spread(
        first,
        [math.log(score_beside(size, others, first, patches)) for size, others in models],
    )


def _with_spread(null: Null, highest: Sequence[float]) -> Null:
    """Return the null with location and scale of the models' highest log scores.

    The scale is taken larger than fitted by one standard error (0.78 / sqrt(models) of it, that of
    a Gumbel distribution): what so few models leave unknown must not become certainty.
    """
    # Models that all agree have no spread to fit.
    spread = np.ptp(highest) > MIN_SCALE
    location, scale = stats.gumbel_r.fit(highest) if spread else (np.mean(highest), MIN_SCALE)
    # Where most models have no natural trigger at all, likelihood overlooks the few that do.
    by_moments = math.sqrt(6) / math.pi * float(np.std(highest))
    wider = max(float(scale), by_moments, MIN_SCALE) * (1 + 0.78 / math.sqrt(len(highest)))
    return replace(null, location=float(location), scale=wider)


def _natural(model: Observation) -> dict[str, list[float | None]]:
    """Return natural sizes by family, at 3 x 32 x 32 pixels, without those of the backdoor."""
    out: dict[str, list[float | None]] = {}
    moved = {source for sources in model.sources for source in sources}
    every_source = any(not sources for sources in model.sources)
    for item in model.evidence:
        if family_named(item.family).moves == "source" and (item.source in moved or every_source):
            continue
        if item.source is None and item.target in model.targets:
            continue
        found = model.scaled(item) if item.margin is None else item.margin
        out.setdefault(item.family, []).append(found)
    return out
