"""Fit the nulls of trigger families on scans of models whose backdoors are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from undoor.errors import UndoorError
from undoor.families.at_size import AtSize
from undoor.families.calibration import Agreement, Lowest, Null
from undoor.families.registry import family_named, judged_beside
from undoor.scan.combination import (
    agreement,
    agreement_p_values,
    of_ten,
)
from undoor.scan.statistics import (
    NULL_CLASSES,
    lower_quartile,
    margin_scores,
    p_values,
    score_beside,
    scores,
)
from undoor.spaces.registry import space_of
from undoor_bench.records import Record

# A spread fitted on some tens of models is not trusted below this.
MIN_SCALE = 0.12
# Beyond this quantile of the natural sizes, how large a trigger is says nothing.
CEILING = 0.9
# Of fewer natural triggers a model says nothing about how much smaller the smallest is.
MIN_CLASSES = 5
# The p-value at which a family shows a backdoor, and the weight of one that shows none.
SHOWN = 0.02
MIN_WEIGHT = 0.25


def fit_nulls(records: Sequence[Record]) -> dict[str, Null]:
    """Return the null of every family from the natural triggers of these models.

    All classes of clean models, and of backdoored ones those that are no target, or, in families
    that go by the source, no source.
    """
    natural: dict[str, list[list[float | None]]] = {}
    lone: dict[str, list[tuple[float | None, list[float | None]]]] = {}
    for record in records:
        by_family = _natural(record)
        for shared in [family for family in by_family if judged_beside(family)]:
            size, *_ = by_family.pop(shared)
            if not record["targets"]:
                others = by_family[str(judged_beside(shared))]
                lone.setdefault(shared, []).append((size, others))
        for family, sizes in by_family.items():
            if len(sizes) >= MIN_CLASSES:
                natural.setdefault(family, []).append(sizes)
    nulls = {
        family: _fit_margins(models, plan)
        if (plan := family_named(family).at_size)
        else fit_null(models)
        for family, models in natural.items()
        if any(size is not None for sizes in models for size in sizes)
    }
    for family in [name for name in nulls if not family_named(name).crowds]:
        nulls[family] = replace(nulls[family], least_others=0.0)
    for shared, models in lone.items():
        if (beside := judged_beside(shared)) in nulls:
            nulls[shared] = fit_shared(models, nulls[beside])
    bad = [record for record in records if record["targets"] and record["took"]]
    shown = [_lowest_of_targets(record, nulls) for record in bad]
    return {
        family: replace(null, weight=_weight([p.get(family, 1.0) for p in shown]))
        for family, null in nulls.items()
    }


def fit_agreement(records: Sequence[Record], nulls: Mapping[str, Null]) -> Agreement:
    """Return the agreement of p-values over the classes that are no target, under `nulls`.

    Raises
    ------
    UndoorError
        No model has enough of them.
    """
    weights = {family: null.weight for family, null in nulls.items()}
    totals = [agreement(of_ten(class_p_values(record, nulls)), weights) for record in records]
    rest = [np.delete(t, r["targets"]) for t, r in zip(totals, records, strict=True)]
    highest = [float(natural.max()) for natural in rest if len(natural) >= MIN_CLASSES]
    if not highest:
        raise UndoorError(
            f"expected a model with at least {MIN_CLASSES} classes that are no target, got none"
        )
    fitted = _with_spread(Null(1.0, 1.0, 0.0, 1.0), highest)
    null = Agreement(fitted.location, fitted.scale)
    shown = [
        float(agreement_p_values(t, null)[r["targets"]].min())
        for t, r in zip(totals, records, strict=True)
        if r["targets"] and r["took"]
    ]
    return replace(null, weight=_weight(shown))


def _weight(p_values: Sequence[float]) -> float:
    """Return the share of backdoored models whose backdoor the family shows, and a little more."""
    return MIN_WEIGHT + sum(p <= SHOWN for p in p_values) / max(1, len(p_values))


def _lowest_of_targets(record: Record, nulls: Mapping[str, Null]) -> dict[str, float]:
    """Return, by family, the lowest p-value of a true target."""
    return {
        family: float(p[record["targets"]].min())
        for family, p in class_p_values(record, nulls).items()
    }


def class_p_values(record: Record, nulls: Mapping[str, Null]) -> dict[str, NDArray[np.float64]]:
    """Return, by family, the p-value of every class [K].

    A shared patch whose images end in several classes speaks of the true targets.
    """
    classes, shape = len(record["scan"]["class_names"]), tuple(record["input_shape"])
    by_family: dict[str, list[Record]] = {}
    for item in record["scan"]["evidence"]:
        by_family.setdefault(item["family"], []).append(item)
    out = {}
    for family, evidence in by_family.items():
        if family not in nulls:
            continue
        beside = judged_beside(family)
        if plan := family_named(family).at_size:
            score, tried = margin_scores([item["margin"] for item in evidence], plan), classes
        elif beside:
            (size,), sources = (_scaled(by_family[each], each, shape) for each in (family, beside))
            score = np.array([score_beside(size, sources, nulls[family], nulls[beside])])
            tried = NULL_CLASSES
        else:
            score, tried = scores(_scaled(evidence, family, shape), nulls[family]), classes
        out[family] = np.ones(classes)
        for item, p in zip(evidence, p_values(score, nulls[family], tried), strict=True):
            several = record["targets"] if beside else []
            for target in several if item["target"] is None else [item["target"]]:
                out[family][target] = min(out[family][target], p)
    return out


def _scaled(evidence: Sequence[Record], family: str, shape: tuple[int, ...]) -> list[float | None]:
    """Return sizes at 3 x 32 x 32 pixels."""
    unit = family_named(family).growth(space_of(shape).extent(shape))
    return [None if item["size"] is None else item["size"] / unit for item in evidence]


def fit_null(models: Sequence[Sequence[float | None]]) -> Null:
    """Return the null of one family, from the sizes of each model's classes (None: not reached).

    >>> fit_null([[4.0, 9.0, 8.0, None]] * 3).natural
    4.0
    """
    reached = [[size for size in sizes if size is not None] for sizes in models]
    middle = float(np.median([min(sizes) for sizes in reached if sizes]))
    ceiling = float(np.quantile([size for sizes in reached for size in sizes], CEILING))
    first = Null(natural=middle, ceiling=max(ceiling, middle), location=0.0, scale=1.0)
    first = replace(first, least_others=min(lower_quartile(sizes, first) for sizes in models))
    null = _with_spread(first, [math.log(scores(sizes, first).max()) for sizes in models])
    # The highest score of fewer classes is lower: brought to the usual number.
    return replace(null, location=float(null.location - _shift(null, models)))


def _fit_margins(models: Sequence[Sequence[float | None]], plan: AtSize) -> Null:
    """Return the null of a family of fixed size, from the margins of each model's classes."""
    margins = [[each for each in model if each is not None] for model in models]
    natural = float(np.median([max(each) for each in margins]))
    null = _with_spread(
        Null(natural, ceiling=0.0, location=0.0, scale=1.0),
        [math.log(margin_scores(each, plan).max()) for each in margins],
    )
    return replace(null, location=float(null.location - _shift(null, margins)))


def _shift(null: Null, models: Sequence[Sequence[float | None]]) -> float:
    """Return by how much the highest of ten classes is above that of each model's, on average."""
    return float(np.mean([null.scale * math.log(len(each) / NULL_CLASSES) for each in models]))


def fit_shared(
    models: Sequence[tuple[float | None, Sequence[float | None]]], patches: Null
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
    first = Null(natural=middle, ceiling=ceiling, location=0.0, scale=1.0)
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


def _natural(record: Record) -> dict[str, list[float | None]]:
    """Return natural sizes by family, at 3 x 32 x 32 pixels, without those of the backdoor."""
    out: dict[str, list[float | None]] = {}
    shape = tuple(record["input_shape"])
    moved = {source for sources in record["sources"] for source in sources}
    every_source = any(not sources for sources in record["sources"])
    for item in record["scan"]["evidence"]:
        family, size, source = item["family"], item["size"], item["source"]
        if family_named(family).moves == "source" and (source in moved or every_source):
            continue
        if source is None and item["target"] in record["targets"]:
            continue
        unit = family_named(family).growth(space_of(shape).extent(shape))
        scaled = None if size is None else size / unit
        margin = item.get("margin")
        out.setdefault(family, []).append(scaled if margin is None else margin)
    return out


def as_toml(
    nulls: Mapping[str, Null], agreed: Agreement, lowest: Lowest, models: Sequence[str]
) -> str:
    """Return the contents of a calibration file."""
    text = (
        "# Natural triggers, at 3 x 32 x 32 pixels and ten classes: see Null in calibration.py.\n"
        "# Made by `undoor-bench calibrate`; of no use as evidence about these models.\n"
        "models = [\n" + "".join(f'    "{name}",\n' for name in models) + "]\n"
    )
    tables = {"agreement": vars(agreed), "lowest": vars(lowest)}
    tables |= {f'null."{family}"': vars(null) for family, null in nulls.items()}
    for table, values in tables.items():
        text += f"\n[{table}]\n"
        text += "".join(f"{name} = {value:.4g}\n" for name, value in values.items())
    return text
