"""What natural triggers look like, learned from records of scans."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench_helpers.fakes import clean_record, record
from helpers.family_names import BY_SOURCE, SHARED
from undoor.errors import UndoorError
from undoor.families.calibration import Agreement, Null
from undoor.scan.statistics import p_values, score_beside, scores
from undoor_bench.cli import app
from undoor_bench.null_fitting import (
    MIN_CLASSES,
    as_toml,
    fit_agreement,
    fit_null,
    fit_nulls,
    fit_shared,
)

NATURAL = (8.0, 9.0, 10.0, 9.0, None, 9.5)


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
    planted = [record(model=str(i), sizes=(8.0, 9.0, 0.1, *NATURAL[2:])) for i in range(5)]
    clean = [clean_record(sizes=NATURAL) for _ in range(5)]
    (with_planted,) = fit_nulls([*planted, *clean]).values()
    assert with_planted.natural == 8.0
    assert with_planted.scale < 0.2


def test_families_that_show_backdoors_weigh_more() -> None:
    planted = [record(model=str(i), sizes=(8.0, 9.0, 0.1, *NATURAL[2:])) for i in range(5)]
    hidden = [record(model=str(i), sizes=(8.0, 9.0, 8.5, *NATURAL[2:])) for i in range(5)]
    clean = [clean_record(sizes=NATURAL) for _ in range(5)]
    (shown,) = fit_nulls([*planted, *clean]).values()
    (half,) = fit_nulls([*planted, *hidden, *clean]).values()
    (none,) = fit_nulls([*hidden, *clean]).values()
    assert shown.weight == pytest.approx(1.25)
    assert half.weight == pytest.approx(0.75)
    assert none.weight == pytest.approx(0.25)


# Sources


def natural_of(*records: dict[str, object]) -> Null:
    return fit_nulls([clean_record(sizes=NATURAL, by_source=NATURAL), *records])[BY_SOURCE]


def test_sources_of_a_backdoor_teach_nothing() -> None:
    """Those that it moves; of the others, natural patches are as good as a clean model's."""
    by_source = (0.1, 4.0, 4.5, 0.2, 4.5, 4.0, 5.0)
    moved = record(sizes=NATURAL, by_source=by_source, sources=((0, 3),))
    assert natural_of(moved).natural == pytest.approx((8.0 + 4.0) / 2)


def test_a_backdoor_for_all_leaves_no_natural_source() -> None:
    everywhere = record(sizes=NATURAL, by_source=(0.1,) * 6)
    assert natural_of(everywhere) == natural_of()


def test_a_source_that_is_the_target_of_others_is_natural() -> None:
    """A small patch to the target is planted, one that makes its own images leave is not."""
    by_source = (4.0, 4.0, 2.0, 4.0, 0.1, 4.0)
    made = record(sizes=NATURAL, targets=(2,), by_source=by_source, sources=((4,),))
    assert natural_of(made).natural == pytest.approx((8.0 + 2.0) / 2)


def test_too_few_natural_classes_teach_nothing() -> None:
    few = clean_record(sizes=(0.1,) * (MIN_CLASSES - 1))
    assert fit_nulls([few]) == {}
    assert set(fit_nulls([few, clean_record(sizes=NATURAL)])) == {"patch"}
    enough = clean_record(sizes=(0.1,) * MIN_CLASSES)
    assert fit_nulls([enough])["patch"].natural == pytest.approx(0.1)


# The shared patch


def test_shared_patches_are_judged_beside_those_of_sources() -> None:
    """Natural is what clean models need; a score as high as theirs is no rare one."""
    sizes = (30.0, 34.0, 28.0, 40.0, 36.0)
    records = [clean_record(sizes=NATURAL, by_source=NATURAL, shared=size) for size in sizes]
    planted = record(sizes=NATURAL, by_source=NATURAL, shared=0.5, sources=((1,),))
    nulls = fit_nulls([*records, planted])
    null, beside = nulls[SHARED], nulls[BY_SOURCE]
    assert null.natural == 34.0

    def p_value(size: float) -> float:
        return float(p_values(np.array([score_beside(size, NATURAL, null, beside)]), null)[0])

    assert p_value(34.0) > 0.3
    assert p_value(1.0) < 0.01


def test_backdoored_models_teach_nothing_of_shared_patches() -> None:
    planted = record(sizes=NATURAL, by_source=NATURAL, shared=0.5, sources=((1,),))
    assert SHARED not in fit_nulls([planted])


def test_a_shared_patch_that_never_worked() -> None:
    """As natural as what no patch of a source can do."""
    beside = fit_null([NATURAL])
    null = fit_shared([(None, NATURAL)] * 3, beside)
    assert null.natural == pytest.approx(beside.ceiling)
    assert null.scale > 0


def test_agreement_is_that_of_natural_classes() -> None:
    """Planted targets, whose p-values are tiny, do not count."""
    clean = [clean_record(sizes=(8.0 + i, *NATURAL[1:])) for i in range(4)]
    planted = record(sizes=(8.0, 9.0, 0.01, *NATURAL[2:]))
    nulls = fit_nulls([*clean, planted])
    without, with_planted = (
        fit_agreement(records, nulls) for records in (clean, [*clean, planted])
    )
    assert with_planted.location == pytest.approx(without.location, abs=0.5)
    assert 0 < with_planted.scale < 2
    with pytest.raises(UndoorError, match="no target"):
        fit_agreement([clean_record(sizes=(8.0, 9.0))], nulls)


# Files


def test_a_family_that_reached_nothing_is_left_out() -> None:
    assert fit_nulls([clean_record(sizes=(None,) * 6)]) == {}


def test_calibration_file() -> None:
    nulls = fit_nulls([clean_record(sizes=NATURAL, by_source=NATURAL, shared=30.0)])
    data = tomllib.loads(as_toml(nulls, Agreement(2.0, 1.5), ["m", "n"]))
    assert data["models"] == ["m", "n"]
    assert data["agreement"] == {"location": 2.0, "scale": 1.5, "weight": 1.0}
    assert set(data["null"]) == {"patch", BY_SOURCE, SHARED}
    for family, null in nulls.items():
        assert data["null"][family] == pytest.approx(vars(null), rel=1e-3)


def test_calibrate(tmp_path: Path) -> None:
    row = 'attack = "clean"\ndata = "mnist"\nnetwork = "VGG"\nseeds = [0, 1]\ncalibrate = [1]\n'
    (tmp_path / "table.toml").write_text("[[model]]\n" + row)
    (tmp_path / "mnist_VGG_clean_0.json").write_text("not to be read")
    made = record("clean", targets=(), model="mnist_VGG_clean_1", sizes=NATURAL)
    (tmp_path / "mnist_VGG_clean_1.json").write_text(json.dumps(made))
    out = tmp_path / "calibration.toml"
    table = str(tmp_path / "table.toml")
    arguments = ["calibrate", str(tmp_path), "--table", table, "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert tomllib.loads(out.read_text())["models"] == ["mnist_VGG_clean_1"]
    (tmp_path / "mnist_VGG_clean_1.json").unlink()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code in (3, 4)
    assert "expected records of mnist_VGG_clean_1" in again.stderr


# Many targets at once


def test_the_least_quartile_of_natural_triggers() -> None:
    """Of all models, without their targets; an unreached class is as large as any."""
    models: list[list[float | None]] = [
        [8.0, 9.0, 10.0, 11.0, None],
        [5.0, 6.0, 7.0, 8.0, 9.0],
        [20.0] * 5,
    ]
    assert fit_null(models).least_others == 6.0
    planted = record(sizes=(8.0, 9.0, 0.1, *NATURAL[2:]))
    (null,) = fit_nulls([planted, clean_record(sizes=NATURAL)]).values()
    assert null.least_others >= 9.0
    assert natural_of().least_others == 0
