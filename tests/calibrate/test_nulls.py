"""What natural triggers look like, learned from scans."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from helpers.family_names import BY_SOURCE, SHARED
from helpers.observations import NATURAL, clean_model, drawn, margins_of, model
from undoor.calibrate.lowest import fit_lowest, lowest_combinations
from undoor.calibrate.nulls import (
    MIN_CLASSES,
    class_p_values,
    fit_agreement,
    fit_null,
    fit_nulls,
    fit_shared,
)
from undoor.calibrate.observation import Observation
from undoor.errors import UndoorError
from undoor.families.null import Null
from undoor.families.patch_margin import PATCH_MARGIN
from undoor.scan.statistics import margin_scores, p_values, score_beside, scores


def test_null_of_natural_triggers() -> None:
    """Its location and scale are those of the highest log score of ten natural classes."""
    generator = np.random.default_rng(0)
    models = [np.exp(generator.normal(2, 0.2, 10)).tolist() for _ in range(300)]
    null = fit_null(models)
    assert null.natural == pytest.approx(math.exp(2 - 1.54 * 0.2), rel=0.03)
    assert null.natural < null.ceiling
    assert null.scale < 0.3
    p = np.array([p_values(scores(sizes, null), null).min() for sizes in models])
    assert 0.2 < (p <= 0.5).mean() < 0.7
    assert (p <= 0.01).mean() <= 0.02


def test_fewer_classes_give_the_null_of_ten() -> None:
    """The highest score of five natural classes is lower; brought to ten, it is not."""
    generator = np.random.default_rng(1)
    ten = [np.exp(generator.normal(2, 0.2, 10)).tolist() for _ in range(300)]
    five = [sizes[:5] for sizes in ten]
    assert fit_null(five).location == pytest.approx(fit_null(ten).location, abs=0.12)


def test_few_models_know_less() -> None:
    generator = np.random.default_rng(0)
    models = [np.exp(generator.normal(2, 0.3, 10)).tolist() for _ in range(5)]
    assert fit_null(models * 40).scale < fit_null(models).scale


def test_targets_teach_nothing() -> None:
    planted = [model(name=str(i), sizes=(8.0, 9.0, 0.1, *NATURAL[2:])) for i in range(5)]
    clean = [clean_model(sizes=NATURAL) for _ in range(5)]
    (with_planted,) = fit_nulls([*planted, *clean]).values()
    assert with_planted.natural == 8.0
    assert with_planted.scale < 0.2


def test_families_that_show_backdoors_weigh_more() -> None:
    planted = [model(name=str(i), sizes=(8.0, 9.0, 0.1, *NATURAL[2:])) for i in range(5)]
    hidden = [model(name=str(i), sizes=(8.0, 9.0, 8.5, *NATURAL[2:])) for i in range(5)]
    clean = [clean_model(sizes=NATURAL) for _ in range(5)]
    (shown,) = fit_nulls([*planted, *clean]).values()
    (half,) = fit_nulls([*planted, *hidden, *clean]).values()
    (none,) = fit_nulls([*hidden, *clean]).values()
    assert shown.weight == pytest.approx(1.25)
    assert half.weight == pytest.approx(0.75)
    assert none.weight == pytest.approx(0.25)


# Sources


def natural_of(*records: Observation) -> Null:
    return fit_nulls([clean_model(sizes=NATURAL, by_source=NATURAL), *records])[BY_SOURCE]


def test_sources_of_a_backdoor_teach_nothing() -> None:
    """Those that it moves; of the others, natural patches are as good as a clean model's."""
    by_source = (0.1, 4.0, 4.5, 0.2, 4.5, 4.0, 5.0)
    moved = model(sizes=NATURAL, by_source=by_source, sources=((0, 3),))
    assert natural_of(moved).natural == pytest.approx((8.0 + 4.0) / 2)


def test_a_backdoor_for_all_leaves_no_natural_source() -> None:
    everywhere = model(sizes=NATURAL, by_source=(0.1,) * 6)
    assert natural_of(everywhere) == natural_of()


def test_a_source_that_is_the_target_of_others_is_natural() -> None:
    """A small patch to the target is planted, one that makes its own images leave is not."""
    by_source = (4.0, 4.0, 2.0, 4.0, 0.1, 4.0)
    made = model(sizes=NATURAL, targets=(2,), by_source=by_source, sources=((4,),))
    assert natural_of(made).natural == pytest.approx((8.0 + 2.0) / 2)


def test_too_few_natural_classes_teach_nothing() -> None:
    few = clean_model(sizes=(0.1,) * (MIN_CLASSES - 1))
    assert fit_nulls([few]) == {}
    assert set(fit_nulls([few, clean_model(sizes=NATURAL)])) == {"patch"}
    enough = clean_model(sizes=(0.1,) * MIN_CLASSES)
    assert fit_nulls([enough])["patch"].natural == pytest.approx(0.1)


def test_nothing_can_be_learned_where_nothing_works() -> None:
    with pytest.raises(UndoorError, match="nothing can be learned"):
        fit_agreement([clean_model(sizes=(None,) * 6)], {})


# The shared patch


def test_a_shared_patch_without_those_of_sources_says_nothing() -> None:
    """As in a report of which somebody took a part out."""
    whole = clean_model(sizes=NATURAL, by_source=NATURAL, shared=30.0)
    part = replace(whole, evidence=tuple(e for e in whole.evidence if e.family != BY_SOURCE))
    assert SHARED not in fit_nulls([part])
    assert SHARED not in class_p_values(part, fit_nulls([whole]))


def test_shared_patches_are_judged_beside_those_of_sources() -> None:
    """Natural is what clean models need; a score as high as theirs is no rare one."""
    sizes = (30.0, 34.0, 28.0, 40.0, 36.0)
    records = [clean_model(sizes=NATURAL, by_source=NATURAL, shared=size) for size in sizes]
    planted = model(sizes=NATURAL, by_source=NATURAL, shared=0.5, sources=((1,),))
    nulls = fit_nulls([*records, planted])
    null, beside = nulls[SHARED], nulls[BY_SOURCE]
    assert null.natural == 34.0

    def p_value(size: float) -> float:
        return float(p_values(np.array([score_beside(size, NATURAL, null, beside)]), null)[0])

    assert p_value(34.0) > 0.3
    assert p_value(1.0) < 0.01


def test_backdoored_models_teach_nothing_of_shared_patches() -> None:
    planted = model(sizes=NATURAL, by_source=NATURAL, shared=0.5, sources=((1,),))
    assert SHARED not in fit_nulls([planted])


def test_a_shared_patch_that_never_worked() -> None:
    """As natural as what no patch of a source can do."""
    beside = fit_null([NATURAL])
    null = fit_shared([(None, NATURAL)] * 3, beside)
    assert null.natural == pytest.approx(beside.ceiling)
    assert null.scale > 0


def test_agreement_is_that_of_natural_classes() -> None:
    """Planted targets, whose p-values are tiny, do not count."""
    clean = [clean_model(sizes=(8.0 + i, *NATURAL[1:])) for i in range(4)]
    planted = model(sizes=(8.0, 9.0, 0.01, *NATURAL[2:]))
    nulls = fit_nulls([*clean, planted])
    without, with_planted = (
        fit_agreement(records, nulls) for records in (clean, [*clean, planted])
    )
    assert with_planted.location == pytest.approx(without.location, abs=0.5)
    assert 0 < with_planted.scale < 2
    with pytest.raises(UndoorError, match="no target"):
        fit_agreement([clean_model(sizes=(8.0, 9.0))], nulls)


def test_a_family_that_reached_nothing_is_left_out() -> None:
    assert fit_nulls([clean_model(sizes=(None,) * 6)]) == {}


def test_too_few_models_are_refused() -> None:
    with pytest.raises(UndoorError, match="at least 10 models"):
        fit_lowest([0.1] * 9)


def test_the_lowest_combination_is_that_of_natural_classes() -> None:
    """Each judged by the others: a model with a planted trigger is as its clean twin."""
    records = [drawn(seed) for seed in range(12)]
    changed = list(records[0].evidence)
    changed[2] = replace(changed[2], size=0.01)
    planted = [replace(records[0], targets=(2,), evidence=tuple(changed)), *records[1:]]
    clean, other = (lowest_combinations(each) for each in (records, planted))
    assert set(clean) == set(other) == {record.name for record in records}
    assert min(other.values()) > 1e-3


def test_the_null_of_margins() -> None:
    """The lead of the highest of ten, in ten classes as in four."""
    assert PATCH_MARGIN.at_size
    records = [drawn(seed) for seed in range(60)]
    null = fit_nulls(records)["patch margin"]
    leads = [
        np.log(margin_scores(margins_of(record), PATCH_MARGIN.at_size)).max() for record in records
    ]
    assert null.location + 0.577 * null.scale == pytest.approx(np.mean(leads), abs=0.15)
    assert (null.ceiling, null.least_others) == (0, 0)


# Many targets at once


def test_the_least_quartile_of_natural_triggers() -> None:
    """Of all models, without their targets; an unreached class is as large as any."""
    models: list[list[float | None]] = [
        [8.0, 9.0, 10.0, 11.0, None],
        [5.0, 6.0, 7.0, 8.0, 9.0],
        [20.0] * 5,
    ]
    assert fit_null(models).least_others == 6.0
    planted = model(sizes=(8.0, 9.0, 0.1, *NATURAL[2:]))
    (null,) = fit_nulls([planted, clean_model(sizes=NATURAL)]).values()
    assert null.least_others >= 9.0
    assert natural_of().least_others == 0
